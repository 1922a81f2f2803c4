//! Reads executable content (VoiceXML 2.0 §5.3).

use std::sync::Arc;

use roxmltree::Node;

use super::super::document::{
    Act, Block, Expr, Foreach, Given, LogPart, Prompt, ScriptSource, Statement, SubmitHow, Target,
};
use super::{Reader, squeeze};

impl Reader<'_> {
    /// The statements in an element.
    pub(super) fn content(&mut self, node: Node<'_, '_>) -> Block {
        let children: Vec<_> = node.children().collect();
        self.statements(&children).into()
    }

    fn statements(&mut self, nodes: &[Node<'_, '_>]) -> Vec<Statement> {
        let mut statements = Vec::new();
        let mut at = 0;
        while at < nodes.len() {
            // Text, audio, value and enumerate in a row are one prompt (VoiceXML 2.0 §4.1).
            let spoken = nodes[at..].iter().take_while(|node| is_spoken(**node)).count();
            if spoken > 0 {
                statements.extend(self.bare_prompt(&nodes[at..at + spoken]));
                at += spoken;
                continue;
            }
            if nodes[at].is_element() {
                statements.extend(self.statement(nodes[at]));
            }
            at += 1;
        }
        statements
    }

    fn bare_prompt(&mut self, nodes: &[Node<'_, '_>]) -> Option<Statement> {
        let prompt = self.prompt_of(nodes)?;
        let place = prompt.place.clone();
        Some(Statement { act: Act::Prompt(Arc::new(prompt)), place })
    }

    /// A prompt without attributes around these nodes; `None` where they are only white space.
    pub(super) fn prompt_of(&mut self, nodes: &[Node<'_, '_>]) -> Option<Prompt> {
        let first = nodes.iter().find(|node| node.is_element() || has_text(**node))?;
        let place = self.place(*first);
        Some(Prompt::bare(self.parts(nodes), place))
    }

    /// One statement; `None` for what is no statement, which the schema has reported.
    pub(super) fn statement(&mut self, node: Node<'_, '_>) -> Option<Statement> {
        let act = match node.tag_name().name() {
            "assign" => Act::Assign {
                name: self.required(node, "name").to_owned(),
                expr: self.required_expr(node, "expr"),
            },
            "clear" => Act::Clear { names: self.names(node, "namelist") },
            "data" => self.data(node),
            "disconnect" => {
                Act::Disconnect { names: self.names(node, "namelist").unwrap_or_default() }
            }
            "exit" => self.exit(node),
            "foreach" => {
                let content = self.content(node);
                Act::Foreach(Arc::new(self.foreach(node, content)))
            }
            "goto" => self.goto(node),
            "if" => self.branches(node),
            "log" => self.log(node),
            "prompt" => Act::Prompt(Arc::new(self.prompt(node))),
            "reprompt" => Act::Reprompt,
            "return" => self.return_(node),
            "script" => self.script(node),
            "submit" => self.submit(node),
            "throw" => {
                let name = self.exactly_one(node, &["event", "eventexpr"]);
                let event = self.given(node, name.unwrap_or("event"));
                Act::Throw(self.throw(node, event))
            }
            "var" => Act::Var {
                name: self.required(node, "name").to_owned(),
                expr: self.expr(node, "expr"),
            },
            _ => return None,
        };
        Some(Statement { act, place: self.place(node) })
    }

    /// What `<foreach>` has besides its content (VoiceXML 2.1 §6).
    pub(super) fn foreach<C>(&mut self, node: Node<'_, '_>, content: C) -> Foreach<C> {
        Foreach {
            array: self.required_expr(node, "array"),
            item: self.required(node, "item").to_owned(),
            content,
            place: self.place(node),
        }
    }

    fn data(&mut self, node: Node<'_, '_>) -> Act {
        let source = self.exactly_one(node, &["src", "srcexpr"]);
        Act::Data {
            name: self.attribute(node, "name").map(str::to_owned),
            from: self.given(node, source.unwrap_or("src")),
            names: self.names(node, "namelist").unwrap_or_default(),
            how: self.submit_how(node),
            fetch: self.fetch(node),
        }
    }

    fn return_(&mut self, node: Node<'_, '_>) -> Act {
        let what = self.at_most_one(node, &["namelist", "event", "eventexpr"]);
        let throw = match what {
            Some(event @ ("event" | "eventexpr")) => {
                let event = self.given(node, event);
                Some(self.throw(node, event))
            }
            _ => None,
        };
        Act::Return { names: self.names(node, "namelist").unwrap_or_default(), throw }
    }

    fn exit(&mut self, node: Node<'_, '_>) -> Act {
        self.at_most_one(node, &["expr", "namelist"]);
        Act::Exit {
            expr: self.expr(node, "expr"),
            names: self.names(node, "namelist").unwrap_or_default(),
        }
    }

    fn goto(&mut self, node: Node<'_, '_>) -> Act {
        let name = self.exactly_one(node, &["next", "expr", "nextitem", "expritem"]);
        let to = match name {
            Some(item @ ("nextitem" | "expritem")) => Target::Item(self.given(node, item)),
            Some(page) => Target::Page(self.given(node, page)),
            None => Target::Page(Given::Literal(String::new())),
        };
        Act::Goto { to, fetch: self.fetch(node) }
    }

    fn branches(&mut self, node: Node<'_, '_>) -> Act {
        let children: Vec<_> = node.children().collect();
        let mut branches: Vec<(Option<Expr>, Block)> = Vec::new();
        let mut cond = Some(self.required_expr(node, "cond"));
        let mut start = 0;
        for (at, child) in children.iter().enumerate() {
            let name = child.tag_name().name();
            if !child.is_element() || !matches!(name, "else" | "elseif") {
                continue;
            }
            let block = self.statements(&children[start..at]);
            if cond.is_none() {
                self.mistake(*child, format!("<{name}> after <else>; <else> comes last"));
            }
            branches.push((cond.take(), block.into()));
            cond = (name == "elseif").then(|| self.required_expr(*child, "cond"));
            start = at + 1;
        }
        let block = self.statements(&children[start..]);
        branches.push((cond, block.into()));
        Act::If(branches)
    }

    fn log(&mut self, node: Node<'_, '_>) -> Act {
        let mut parts = Vec::new();
        for child in node.children() {
            if child.is_element() {
                parts.push(LogPart::Value(self.required_expr(child, "expr")));
            } else if let Some(text) = child.text().filter(|_| child.is_text()) {
                parts.push(LogPart::Text(text.to_owned()));
            }
        }
        let label = self.attribute(node, "label").unwrap_or_default();
        Act::Log { label: label.to_owned(), expr: self.expr(node, "expr"), parts }
    }

    fn script(&mut self, node: Node<'_, '_>) -> Act {
        let texts = node.children().filter(Node::is_text);
        let text: String = texts.filter_map(|child| child.text()).collect();
        let inline = !text.trim().is_empty();
        let name = self.at_most_one(node, &["src", "srcexpr"]);
        let source = match (name, inline) {
            (Some(name), false) => ScriptSource::At(self.given(node, name)),
            (None, true) => ScriptSource::Inline(Expr {
                place: node.first_child().map_or_else(|| self.place(node), |text| self.place(text)),
                text: Arc::from(text),
            }),
            (Some(name), true) => {
                let message = format!("<script> has both {name} and code; it takes one of them");
                self.mistake(node, message);
                ScriptSource::At(self.given(node, name))
            }
            (None, false) => {
                self.mistake(node, "<script> needs exactly one of src, srcexpr or code");
                ScriptSource::At(Given::Literal(String::new()))
            }
        };
        Act::Script { source, fetch: self.fetch(node) }
    }

    fn submit(&mut self, node: Node<'_, '_>) -> Act {
        let name = self.exactly_one(node, &["next", "expr"]);
        Act::Submit {
            to: self.given(node, name.unwrap_or("next")),
            names: self.names(node, "namelist"),
            how: self.submit_how(node),
            fetch: self.fetch(node),
        }
    }

    /// `method` and `enctype`.
    pub(super) fn submit_how(&mut self, node: Node<'_, '_>) -> SubmitHow {
        const FORM: &str = "application/x-www-form-urlencoded";
        const MULTIPART: &str = "multipart/form-data";
        let method = self.word(node, "method", &["get", "post"]);
        let enctype = self.word(node, "enctype", &[FORM, MULTIPART]);
        match (method, enctype) {
            ("post", MULTIPART) => SubmitHow::PostMultipart,
            ("post", _) => SubmitHow::PostForm,
            _ => SubmitHow::Get,
        }
    }
}

/// Whether a node is part of a prompt outside of any `<prompt>`, or nothing at all.
pub(super) fn is_spoken(node: Node<'_, '_>) -> bool {
    !node.is_element() || matches!(node.tag_name().name(), "audio" | "enumerate" | "value")
}

/// Whether a node is text that is more than white space.
pub(super) fn has_text(node: Node<'_, '_>) -> bool {
    node.is_text() && node.text().is_some_and(|text| !text.trim().is_empty())
}

/// The text of an element without its children's, in one row.
pub(super) fn own_text(node: Node<'_, '_>) -> String {
    let texts = node.children().filter(Node::is_text).filter_map(|child| child.text());
    squeeze(&texts.collect::<Vec<_>>().join(" "))
}
