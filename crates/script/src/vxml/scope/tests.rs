//! Variables and who sees them.

use std::sync::Arc;

use super::super::place::Place;
use super::*;

fn expr(text: &str) -> Expr {
    Expr { text: Arc::from(text), place: Place::platform() }
}

/// Scopes with the same variables, before any engine and with one.
fn both() -> [Scopes; 2] {
    [false, true].map(|started| {
        let mut scopes = Scopes::new(&Limits::default(), 1);
        let uri = Value::Record(vec![("uri".to_owned(), Value::text("tel:1"))]);
        let connection = Value::Record(vec![
            ("local".to_owned(), uri),
            ("callee_type".to_owned(), Value::text("processing")),
        ]);
        scopes.set_session("connection", connection).unwrap();
        for level in [Level::Application, Level::Document, Level::Dialog] {
            scopes.open(level).unwrap();
        }
        scopes.set(Level::Application, "wide", Value::text("application")).unwrap();
        scopes.set(Level::Document, "wide", Value::text("document")).unwrap();
        scopes.set(Level::Dialog, "filled", Value::text("12")).unwrap();
        scopes.declare(Level::Dialog, "open").unwrap();
        if started {
            scopes.evaluate(&expr("1 + 1")).unwrap();
        }
        assert_eq!(scopes.has_engine(), started);
        scopes
    })
}

/// What expressions give, which must be the same with and without an engine.
fn same(texts: &[&str]) -> String {
    let [plain, engine] = both().map(|mut scopes| {
        let values = texts.iter().map(|text| match scopes.evaluate(&expr(text)) {
            Ok(value) => format!("{text} is {}", value.to_text()),
            Err(fault) => format!("{text}: {} {}", fault.event, fault.message),
        });
        values.collect::<Vec<_>>().join("\n")
    });
    assert_eq!(plain, engine);
    plain
}

#[test]
fn expressions_give_the_same_with_and_without_an_engine() {
    let texts = [
        "wide",
        "application.wide",
        "document.wide",
        "dialog.filled == '12'",
        "open",
        "open == null",
        "session.connection.local.uri",
        "connection.callee_type",
        "filled != undefined",
        "session.connection.nothing",
        "open === undefined",
        "dialog.open",
        "application.lastresult$",
    ];
    expect_test::expect![[r#"
        wide is document
        application.wide is application
        document.wide is document
        dialog.filled == '12' is true
        open is undefined
        open == null is true
        session.connection.local.uri is tel:1
        connection.callee_type is processing
        filled != undefined is true
        session.connection.nothing is undefined
        open === undefined is true
        dialog.open is undefined
        application.lastresult$ is undefined"#]]
    .assert_eq(&same(&texts));
}

#[test]
fn looking_at_variables_needs_no_engine() {
    let [mut scopes, _] = both();
    for text in ["wide", "filled == '12'", "session.connection.local.uri", "'text'", "open != 5"] {
        scopes.evaluate(&expr(text)).unwrap();
    }
    scopes.assign("filled", &expr("'13'")).unwrap();
    scopes.assign("document.wide", &expr("filled")).unwrap();
    assert!(!scopes.has_engine());
    assert_eq!(scopes.get(Level::Document, "wide").unwrap(), Value::text("13"));
}

#[test]
fn undeclared_names_and_session_variables_are_not_assigned() {
    let names = [
        "nobody",
        "nobody.x",
        "session.x",
        "connection.callee_type",
        "a-b",
        "",
        "open",
        "document.fresh",
        "document",
        "open.x",
    ];
    let [plain, engine] = both().map(|mut scopes| {
        let outcomes = names.map(|name| match scopes.assign(name, &expr("({})")) {
            Ok(()) => format!("{name}: assigned"),
            Err(fault) => format!("{name}: {} {}", fault.event, fault.message),
        });
        outcomes.join("\n")
    });
    assert_eq!(plain, engine);
    expect_test::expect![[r#"
        nobody: error.semantic nobody is not declared; declare it with <var name="nobody"/> first
        nobody.x: error.semantic nobody is not declared; declare it with <var name="nobody"/> first
        session.x: error.semantic session.x is a session variable, which can only be read
        connection.callee_type: error.semantic connection.callee_type is a session variable, which can only be read
        a-b: error.semantic a-b is no name of a variable
        : error.semantic  is no name of a variable
        open: assigned
        document.fresh: assigned
        document: error.semantic document is not declared; declare it with <var name="document"/> first
        open.x: assigned"#]].assert_eq(&plain);
}

#[test]
fn declared_names_are_names() {
    for mut scopes in both() {
        for name in ["a.b", "1a", "a-b", "class", ""] {
            assert_eq!(scopes.declare(Level::Dialog, name).unwrap_err().event, "error.semantic");
        }
        scopes.declare(Level::Dialog, "filled").unwrap();
        assert_eq!(scopes.get(Level::Dialog, "filled").unwrap(), Value::text("12"));
    }
}

#[test]
fn scopes_that_close_take_their_variables_along() {
    for mut scopes in both() {
        scopes.close(Level::Dialog).unwrap();
        assert_eq!(scopes.find("filled").unwrap(), None);
        scopes.open(Level::Dialog).unwrap();
        assert_eq!(scopes.find("filled").unwrap(), None);
        scopes.open(Level::Anonymous).unwrap();
        assert_eq!(scopes.innermost(), Level::Anonymous);
        scopes.set(Level::Anonymous, "wide", Value::text("closest")).unwrap();
        assert_eq!(scopes.evaluate(&expr("wide")).unwrap(), Value::text("closest"));
        scopes.close(Level::Anonymous).unwrap();
        assert_eq!(scopes.evaluate(&expr("wide")).unwrap(), Value::text("document"));
    }
}

#[test]
fn a_page_that_is_its_own_root_has_one_scope_for_both() {
    for mut scopes in both() {
        scopes.open(Level::Application).unwrap();
        scopes.share_document().unwrap();
        scopes.set(Level::Document, "x", Value::Number(1.0)).unwrap();
        assert_eq!(
            scopes.evaluate(&expr("application.x == document.x")).unwrap(),
            Value::Bool(true)
        );
        scopes.evaluate(&expr("document.x + 0")).unwrap();
        assert_eq!(scopes.evaluate(&expr("application.x")).unwrap(), Value::Number(1.0));
    }
}

#[test]
fn callee_type_changes_for_scripts_that_cannot_change_it() {
    for mut scopes in both() {
        scopes.update_session("connection", "callee_type", Value::text("voice"));
        scopes.evaluate(&expr("connection.callee_type = 'mine', 1 + 1")).unwrap();
        let value = scopes.evaluate(&expr("session.connection.callee_type"));
        assert_eq!(value.unwrap(), Value::text("voice"));
    }
}

#[test]
fn last_result_is_an_array_that_is_its_first_result_too() {
    for mut scopes in both() {
        let result = vec![
            ("utterance".to_owned(), Value::text("12")),
            ("inputmode".to_owned(), Value::text("dtmf")),
        ];
        scopes.set_last_results(vec![Value::Record(result)]).unwrap();
        let first = scopes.evaluate(&expr("application.lastresult$.utterance")).unwrap();
        assert_eq!(first, Value::text("12"));
        let text = "application.lastresult$.length + lastresult$[0].inputmode";
        assert_eq!(scopes.evaluate(&expr(text)).unwrap(), Value::text("1dtmf"));
    }
}

#[test]
fn variables_have_a_limit_before_the_engine_has_its_own() {
    let limits = Limits { variable_bytes_max: 100, ..Limits::default() };
    let mut scopes = Scopes::new(&limits, 1);
    scopes.open(Level::Application).unwrap();
    for turn in 0..10 {
        let same = Value::text("x".repeat(50));
        scopes.set(Level::Application, "same", same).unwrap();
        assert!(turn < 10);
    }
    let fault = scopes.set(Level::Application, "other", Value::text("x".repeat(50))).unwrap_err();
    assert!(fault.is_limit() && fault.message.contains("variable_bytes_max"));
}

/// Scopes that imported values of these names, before any engine and with one.
fn imported(names: &[&str], look: impl Fn(&mut Scopes)) {
    for started in [false, true] {
        let mut scopes = Scopes::new(&Limits::default(), 1);
        let values = names.iter().map(|name| ((*name).to_owned(), format!("value of {name}")));
        scopes.import(&values.collect());
        scopes.open(Level::Application).unwrap();
        scopes.open(Level::Document).unwrap();
        if started {
            scopes.evaluate(&expr("1 + 1")).unwrap();
        }
        look(&mut scopes);
    }
}

/// Checklist 1-041.
#[test]
fn imported_values_are_variables_of_every_application() {
    imported(&["name"], |scopes| {
        let read =
            |scopes: &mut Scopes, text: &str| scopes.evaluate(&expr(text)).unwrap().to_text();
        assert_eq!(read(scopes, "name"), "value of name");
        assert_eq!(read(scopes, "application.name + '!'"), "value of name!");
        scopes.assign("name", &expr("'other'")).unwrap();
        assert_eq!(read(scopes, "name"), "other");
        // A page of another application begins anew.
        scopes.open(Level::Application).unwrap();
        assert_eq!(read(scopes, "name"), "value of name");
    });
}

#[test]
fn application_that_is_one_document_has_imported_values_too() {
    let mut scopes = Scopes::new(&Limits::default(), 1);
    scopes.import(&[("name".to_owned(), "Ann".to_owned())].into());
    scopes.open(Level::Application).unwrap();
    scopes.share_document().unwrap();
    assert_eq!(scopes.evaluate(&expr("document.name")).unwrap().to_text(), "Ann");
    assert_eq!(scopes.evaluate(&expr("name.length")).unwrap().to_text(), "3");
}

#[test]
fn names_that_scripts_cannot_write_are_imported_in_a_safe_form() {
    let names = ["first name", "2nd", "class", "session", "lastresult$", "größe", "a.b", ""];
    imported(&names, |scopes| {
        for (variable, name) in [
            ("first_name", "first name"),
            ("_2nd", "2nd"),
            ("_class", "class"),
            ("_session", "session"),
            ("_lastresult$", "lastresult$"),
            ("größe", "größe"),
            ("a_b", "a.b"),
            ("_", ""),
        ] {
            let value = scopes.evaluate(&expr(variable)).unwrap();
            assert_eq!(value.to_text(), format!("value of {name}"), "{variable}");
        }
    });
}

#[test]
fn name_that_is_a_variable_comes_before_one_that_becomes_alike() {
    imported(&["a b", "a_b", "a-b"], |scopes| {
        assert_eq!(scopes.evaluate(&expr("a_b")).unwrap().to_text(), "value of a_b");
    });
}
