//! Pages that mean harm, by name: scripts that would take all there is, and XML that would.

/// Fifteen scripts, each as the only thing that a page does.
pub(crate) fn scripts() -> Vec<(&'static str, String)> {
    let scripts = [
        ("loop", "while (true) {}"),
        ("doubling", "var s = 'x'; while (true) s += s;"),
        ("growth", "var a = []; while (true) a.push(a.length);"),
        ("backtracking", "/(a+)+$/.test('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab');"),
        ("comparator", "[3, 2, 1].sort(function() { while (true); });"),
        ("array from", "Array.from({length: 1e8}, function() { return 'x'; });"),
        ("padding", "''.padEnd(1e9, 'x');"),
        ("repeat", "'x'.repeat(1e9).length;"),
        ("recursion", "function f() { return f() + 1; } f();"),
        ("nested text", "eval('['.repeat(1e6));"),
        ("big integer", "1n << 100000000n;"),
        ("nested data", "var d = []; for (var i = 0; i < 1e6; i++) d = [d]; JSON.stringify(d);"),
        ("printing", "String({toString: function() { while (true); }});"),
        ("code from text", "Function('while (true);')();"),
        (
            "getters",
            "var o = {}; Object.defineProperty(o, 'x', {get: function() { return o.x; }}); o.x;",
        ),
    ];
    let page = |script: &str| {
        format!(
            "<vxml version='2.1'><error><exit/></error><form><block><script><![CDATA[{script}]]>\
             </script></block></form></vxml>"
        )
    };
    scripts.map(|(name, script)| (name, page(script))).into()
}

/// Twelve texts that a careless reader of XML makes much of.
pub(crate) fn xml() -> Vec<(&'static str, String)> {
    let entities = |count: u32| {
        (1..count).fold("<!ENTITY e0 'ha'>".to_owned(), |text, n| {
            let before = n - 1;
            format!("{text}<!ENTITY e{n} '{}'>", format!("&e{before};").repeat(10))
        })
    };
    let inside =
        |text: &str| format!("<vxml version='2.1'><form><block>{text}</block></form></vxml>");
    let prefixes = |level: u32| {
        let names: String = (0..60).map(|n| format!(" xmlns:p{level}x{n}='u{n}'")).collect();
        format!("<b{names}>")
    };
    vec![
        ("billion laughs", format!("<!DOCTYPE vxml [{}]><vxml>&e9;</vxml>", entities(10))),
        (
            "quadratic",
            format!(
                "<!DOCTYPE vxml [<!ENTITY a '{}'>]><vxml>{}</vxml>",
                "x".repeat(50_000),
                "&a;".repeat(10_000)
            ),
        ),
        (
            "external entity",
            "<!DOCTYPE vxml [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><vxml>&x;</vxml>".to_owned(),
        ),
        (
            "parameter entity",
            "<!DOCTYPE vxml [<!ENTITY % x SYSTEM 'http://a/b.dtd'> %x;]><vxml/>".to_owned(),
        ),
        ("unknown entity", inside("&x;")),
        ("depth", "<vxml>".repeat(150_000)),
        ("breadth", inside(&"<log/>".repeat(150_000))),
        (
            "attributes",
            format!("<vxml {}/>", (0..20_000).map(|n| format!("a{n}='' ")).collect::<String>()),
        ),
        ("long attribute", format!("<vxml version='{}'/>", "2".repeat(900_000))),
        ("long text", inside(&"x ".repeat(1_000_000))),
        ("open comment", format!("<vxml><!--{}", "-".repeat(900_000))),
        (
            "namespaces",
            format!(
                "<vxml>{}{}",
                (0..60).map(prefixes).collect::<String>(),
                "<c xmlns:z='z'/>".repeat(15_000)
            ),
        ),
    ]
}
