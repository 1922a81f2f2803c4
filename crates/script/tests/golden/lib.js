var count = 0;
function fromLib(n) { count += n; return 'lib' + count + rate; }
