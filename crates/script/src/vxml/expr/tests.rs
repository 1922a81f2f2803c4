//! Expressions, right, wrong and hostile.

use std::time::Duration;

use super::*;

fn engine() -> Engine {
    let session = Value::Record(vec![("connection".to_owned(), Value::Record(Vec::new()))]);
    let engine = Engine::new(&Limits::default(), 1, &session).expect("an engine starts");
    for level in [Level::Application, Level::Document, Level::Dialog] {
        engine.open(level).expect("a scope opens");
    }
    engine
}

/// What a script ends in, and that the engine works after it.
fn after(script: &str) -> String {
    let mut engine = engine();
    let outcome = match engine.script(Level::Dialog, script) {
        Ok(()) => "ran".to_owned(),
        Err(fault) => fault.message,
    };
    let sum = engine.evaluate("1 + 1");
    assert!(matches!(sum, Ok(Value::Number(2.0))), "{script}: {outcome}, then {sum:?}");
    outcome
}

/// Each script and what it ends in.
fn told(scripts: &[&str]) -> String {
    let outcomes = scripts.iter().map(|script| format!("{script}\n    {}", after(script)));
    outcomes.collect::<Vec<_>>().join("\n")
}

fn value(engine: &mut Engine, text: &str) -> String {
    match engine.evaluate_data(text) {
        Ok(value) => value.to_json().to_string(),
        Err(fault) => fault.message,
    }
}

const BOMBS: &[&str] = &[
    "for(;;);",
    "while (true) { try { for(;;); } catch (e) {} finally { continue } }",
    "/(a+)+$/.test('a'.repeat(40) + 'b')",
    "var s = 'ab'; for(;;) s += s;",
    "(function f() { return f() + 1 })()",
    "var a = []; for(;;) a.push(a.length)",
    "[3, 2, 1, 5].sort(function() { for(;;); })",
    "var x = 2n; for(;;) x = x * x;",
    "eval('2n ** 1000000n')",
    "new Function('return 0x5n')",
    "'a'.padEnd(1e9)",
    "new Array(1e9).fill(0)",
    "Array.from({length: 1e8})",
    "new Array(4294967295).indexOf(1)",
    "[].indexOf.call({length: 9007199254740991}, 1)",
    "JSON.parse('['.repeat(1e6))",
    "var s = 'x'; for(;;) s = s.replace(/x/g, 'xx')",
    "function* g() { for(;;) yield 1 } for (var x of g());",
    "var o = {toString: function() { for(;;); }}; '' + o",
    "new Array(1e6).join('abcdefghijklmnopqrstuvwxyz')",
];

#[test]
fn script_bombs_are_contained_and_the_engine_works_after_them() {
    let outcomes = told(BOMBS);
    expect_test::expect![[r#"
        for(;;);
            the script ran too long and was stopped
        while (true) { try { for(;;); } catch (e) {} finally { continue } }
            the script ran too long and was stopped
        /(a+)+$/.test('a'.repeat(40) + 'b')
            the script ran too long and was stopped
        var s = 'ab'; for(;;) s += s;
            InternalError: string too long
        (function f() { return f() + 1 })()
            RangeError: Maximum call stack size exceeded
        var a = []; for(;;) a.push(a.length)
            InternalError: out of memory
        [3, 2, 1, 5].sort(function() { for(;;); })
            the script ran too long and was stopped
        var x = 2n; for(;;) x = x * x;
            2n would be a big integer, and there are none here; a text is written '5' + 'n'
        eval('2n ** 1000000n')
            2n would be a big integer, and there are none here; a text is written '5' + 'n'
        new Function('return 0x5n')
            0x5n would be a big integer, and there are none here; a text is written '5' + 'n'
        'a'.padEnd(1e9)
            InternalError: out of memory
        new Array(1e9).fill(0)
            InternalError: out of memory
        Array.from({length: 1e8})
            InternalError: out of memory
        new Array(4294967295).indexOf(1)
            the script ran too long and was stopped
        [].indexOf.call({length: 9007199254740991}, 1)
            the script ran too long and was stopped
        JSON.parse('['.repeat(1e6))
            RangeError: Maximum call stack size exceeded
        var s = 'x'; for(;;) s = s.replace(/x/g, 'xx')
            InternalError: out of memory
        function* g() { for(;;) yield 1 } for (var x of g());
            the script ran too long and was stopped
        var o = {toString: function() { for(;;); }}; '' + o
            the script ran too long and was stopped
        new Array(1e6).join('abcdefghijklmnopqrstuvwxyz')
            InternalError: out of memory"#]]
    .assert_eq(&outcomes);
}

const ODD: &[&str] = &[
    "async function f() { await 1 } f()",
    "async function* f() { yield 1 } f().next()",
    "import('x')",
    "class A { #p = 1; static { this.q = 2 } }; new A()",
    "using x = null",
    "label: { break label }",
    "var {a, ...b} = {a: 1, c: 2}; var [d, ...e] = 'xyz'",
    "(function() {}).constructor('return 1')()",
    "(async function() {}).constructor('return 1')",
    "String.raw`a${1}b`",
    "} evil() {",
    "1) } evil(); with({}) { (2",
    "return 5",
    "'use strict'; var x = 1",
    "<!-- old habits\nvar old = 1;\n//-->",
    "/(?<year>\\d+)/.exec('2024').groups.year",
    "Object.prototype.toString = 5; Array.prototype[Symbol.iterator] = 5; \
     delete String.prototype.charCodeAt",
    "throw {a: 1}",
    "throw 'a text'",
    "throw new Error('own')",
    "delete globalThis.Array; Object = 5; var eval = 6;",
    "\u{1f600}",
    "var \u{e4}\u{f6} = 1",
    "debugger; with ({x: 1}) { var y = x }",
    "session.connection = 5; Object.defineProperty(session, 'x', {value: 1})",
];

#[test]
fn odd_syntax_neither_crashes_nor_escapes() {
    let outcomes = told(ODD);
    expect_test::expect![[r#"
        async function f() { await 1 } f()
            ran
        async function* f() { yield 1 } f().next()
            ran
        import('x')
            ran
        class A { #p = 1; static { this.q = 2 } }; new A()
            ran
        using x = null
            SyntaxError: using declaration is not allowed at the top level of a script
        label: { break label }
            ran
        var {a, ...b} = {a: 1, c: 2}; var [d, ...e] = 'xyz'
            ran
        (function() {}).constructor('return 1')()
            ran
        (async function() {}).constructor('return 1')
            TypeError: not a function
        String.raw`a${1}b`
            ran
        } evil() {
            SyntaxError: unexpected token in expression: '}'
        1) } evil(); with({}) { (2
            SyntaxError: expecting ';'
        return 5
            SyntaxError: return not in a function
        'use strict'; var x = 1
            ran
        <!-- old habits
        var old = 1;
        //-->
            ran
        /(?<year>\d+)/.exec('2024').groups.year
            ran
        Object.prototype.toString = 5; Array.prototype[Symbol.iterator] = 5; delete String.prototype.charCodeAt
            ran
        throw {a: 1}
            the script threw a value
        throw 'a text'
            the script threw "a text"
        throw new Error('own')
            Error: own
        delete globalThis.Array; Object = 5; var eval = 6;
            ran
        😀
            SyntaxError: unexpected character
        var äö = 1
            ran
        debugger; with ({x: 1}) { var y = x }
            ran
        session.connection = 5; Object.defineProperty(session, 'x', {value: 1})
            ran"#]].assert_eq(&outcomes);
}

#[test]
fn declarations_of_a_script_become_variables_of_its_scope() {
    let mut engine = engine();
    let script = "var x = 5; function f() { return x + y } for (var i = 0; i < 3; \
     i++) { var k = i } \
                  loose = 'from no var'; x = 6; const hidden = 1;";
    engine.script(Level::Document, "var y = 1; function f() { return 'outer' }").unwrap();
    engine.script(Level::Dialog, script).unwrap();
    engine.keep(Level::Dialog, "x", "x * 10").unwrap();
    assert_eq!(
        value(&mut engine, "[f(), i, k, loose, typeof hidden, document.f()]"),
        r#"[61,3,2,"from no var","undefined","outer"]"#
    );
    engine.close(Level::Dialog).unwrap();
    assert_eq!(
        value(&mut engine, "[f(), typeof x, typeof loose]"),
        r#"["outer","undefined","undefined"]"#
    );
}

#[test]
fn closest_scope_wins_and_assignment_goes_to_where_the_name_is_declared() {
    let mut engine = engine();
    engine.keep(Level::Application, "a", "'application'").unwrap();
    engine.keep(Level::Document, "a", "'document'").unwrap();
    engine.keep(Level::Document, "b", "1").unwrap();
    engine.assign("b", "b + 1").unwrap();
    engine.evaluate("b += 5").unwrap();
    assert_eq!(
        value(&mut engine, "[a, application.a, document.b, dialog.b, typeof c]"),
        r#"["document","application",7,null,"undefined"]"#
    );
    assert_eq!(value(&mut engine, "c"), "ReferenceError: c is not defined in \"c\"");
}

#[test]
fn expressions_must_be_whole_and_may_be_object_literals() {
    let mut engine = engine();
    let texts =
        ["{a: 1, b: [2, null]}", "1 // comment", "1) + 2", "1;", "", "function() {}", "a b"];
    let values = texts.map(|text| format!("{text} -> {}", value(&mut engine, text)));
    expect_test::expect![[r#"
        {a: 1, b: [2, null]} -> {"a":1,"b":[2,null]}
        1 // comment -> 1
        1) + 2 -> SyntaxError: unexpected token in expression: ')' in "1) + 2"
        1; -> SyntaxError: Unexpected token ';' in "1;"
         -> SyntaxError: unexpected token in expression: ')' in ""
        function() {} -> "function() {}"
        a b -> SyntaxError: Unexpected identifier 'b' in "a b""#]]
    .assert_eq(&values.join("\n"));
}

#[test]
fn time_and_chance_are_the_hosts() {
    let mut engine = engine();
    engine.set_time(Timestamp::from_seconds(86_400)).unwrap();
    let text = "[Date.now(), new Date().getTime(), new Date(5).getTime(), new Date() instanceof \
     Date, \
                Math.random() === Math.random()]";
    let first = value(&mut engine, text);
    assert_eq!(first, "[86400000,86400000,5,true,false]");
    let mut other = self::engine();
    assert_ne!(value(&mut engine, "Math.random()"), value(&mut other, "Math.random()"));
    assert_eq!(
        value(&mut other, "Math.random()"),
        value(&mut self::engine_after_one(), "Math.random()")
    );
}

fn engine_after_one() -> Engine {
    let mut engine = engine();
    value(&mut engine, "Math.random()");
    engine
}

#[test]
fn data_is_taken_apart_within_bounds() {
    let mut engine = engine();
    engine
        .script(Level::Dialog, "var loop = {}; loop.own = loop; var wide = []; wide[5000] = 1;")
        .unwrap();
    let texts =
        ["loop", "wide", "[function() {}, undefined, new Date(0)]", "({get x() { throw 1 }})"];
    let values = texts.map(|text| format!("{text} -> {}", value(&mut engine, text)));
    expect_test::expect![[r#"
        loop -> RangeError: the value is too large, or part of itself in "loop"
        wide -> RangeError: the value is too large in "wide"
        [function() {}, undefined, new Date(0)] -> ["function() {}",null,{}]
        ({get x() { throw 1 }}) -> the script threw a value in "({get x() { throw 1 }})""#]]
    .assert_eq(&values.join("\n"));
}

#[test]
fn a_stopwatch_bounds_time_and_the_call_has_a_bound_of_its_own() {
    thread_local!(static CLOCK: std::cell::Cell<u64> = const { std::cell::Cell::new(0) });
    let limits = Limits {
        stopwatch: Some(|| {
            CLOCK.with(|clock| {
                clock.set(clock.get() + 50);
                Duration::from_millis(clock.get())
            })
        }),
        ..Limits::default()
    };
    let mut engine = Engine::new(&limits, 1, &Value::Record(Vec::new())).unwrap();
    engine.open(Level::Application).unwrap();
    let mut outcomes = Vec::new();
    for _ in 0..12 {
        let fault = engine.script(Level::Application, "for(;;);").unwrap_err();
        outcomes.push(format!("{}: {}", fault.event, fault.message));
        if fault.is_limit() {
            break;
        }
    }
    outcomes.dedup();
    expect_test::expect![[r#"
        error.semantic: the script ran too long and was stopped
        error.limit: limit call_time_max: the scripts of the call take too long"#]]
    .assert_eq(&outcomes.join("\n"));
}
