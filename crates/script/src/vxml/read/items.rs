//! Reads the form items beside fields and blocks: initial, object, record, subdialog, transfer
//! (VoiceXML 2.0 §2.3.3-2.3.7, 2.1 §9).

use roxmltree::Node;

use super::super::document::{
    Dialog, Given, InputItem, ItemKind, Object, Param, Record, Subdialog, Transfer,
};
use super::Reader;
use crate::step::TransferKind;

impl Reader<'_> {
    pub(super) fn initial(&mut self, node: Node<'_, '_>) -> ItemKind {
        let mut input = InputItem::default();
        self.input_item(node, &mut input);
        ItemKind::Initial(input)
    }

    pub(super) fn object(&mut self, node: Node<'_, '_>, dialog: &mut Dialog) -> ItemKind {
        let class = self.attribute(node, "classid").unwrap_or_default().to_owned();
        ItemKind::Object(Object {
            class,
            params: self.params(node),
            input: self.filled_item(node, dialog),
        })
    }

    pub(super) fn record(&mut self, node: Node<'_, '_>, dialog: &mut Dialog) -> ItemKind {
        ItemKind::Record(Record {
            modal: self.boolean(node, "modal").unwrap_or(true),
            beep: self.boolean(node, "beep").unwrap_or(false),
            dtmf_term: self.boolean(node, "dtmfterm").unwrap_or(true),
            time_max: self.duration(node, "maxtime"),
            final_silence: self.duration(node, "finalsilence"),
            media_type: self.attribute(node, "type").map(str::to_owned),
            input: self.filled_item(node, dialog),
        })
    }

    pub(super) fn subdialog(&mut self, node: Node<'_, '_>, dialog: &mut Dialog) -> ItemKind {
        let source = self.exactly_one(node, &["src", "srcexpr"]);
        ItemKind::Subdialog(Subdialog {
            source: self.given(node, source.unwrap_or("src")),
            params: self.params(node),
            names: self.names(node, "namelist").unwrap_or_default(),
            how: self.submit_how(node),
            fetch: self.fetch(node),
            input: self.filled_item(node, dialog),
        })
    }

    pub(super) fn transfer(&mut self, node: Node<'_, '_>, dialog: &mut Dialog) -> ItemKind {
        let destination = self.exactly_one(node, &["dest", "destexpr"]);
        let aai = self.at_most_one(node, &["aai", "aaiexpr"]);
        self.at_most_one(node, &["bridge", "type"]);
        let kind = match node.has_attribute("type") {
            true => match self.word(node, "type", &["blind", "bridge", "consultation"]) {
                "bridge" => TransferKind::Bridge,
                "consultation" => TransferKind::Consultation,
                _ => TransferKind::Blind,
            },
            false => match self.boolean(node, "bridge") {
                Some(true) => TransferKind::Bridge,
                Some(false) | None => TransferKind::Blind,
            },
        };
        ItemKind::Transfer(Transfer {
            kind,
            destination: self.given(node, destination.unwrap_or("dest")),
            connect_timeout: self.duration(node, "connecttimeout"),
            // Nothing is no limit (§2.3.7).
            time_max: self.duration(node, "maxtime").filter(|time| !time.is_zero()),
            audio: self.attribute(node, "transferaudio").map(str::to_owned),
            aai: aai.map(|name| self.given(node, name)),
            input: self.filled_item(node, dialog),
        })
    }

    /// What an input item has in common with others, and its `<filled>`.
    fn filled_item(&mut self, node: Node<'_, '_>, dialog: &mut Dialog) -> InputItem {
        let mut input = InputItem::default();
        let item = dialog.items.len();
        for child in node.children().filter(|child| child.tag_name().name() == "filled") {
            let filled = self.filled(child, Some(item));
            dialog.filled.push(filled);
        }
        self.input_item(node, &mut input);
        input
    }

    fn params(&mut self, node: Node<'_, '_>) -> Vec<Param> {
        let nodes = node.children().filter(|child| child.tag_name().name() == "param");
        nodes.collect::<Vec<_>>().into_iter().map(|node| self.param(node)).collect()
    }

    fn param(&mut self, node: Node<'_, '_>) -> Param {
        let value = self.exactly_one(node, &["expr", "value"]);
        self.word(node, "valuetype", &["data", "ref"]);
        Param {
            name: self.required(node, "name").to_owned(),
            value: match value {
                Some("value") => {
                    Given::Literal(self.attribute(node, "value").unwrap_or_default().to_owned())
                }
                Some(name) => self.given(node, name),
                None => Given::Literal(String::new()),
            },
            place: self.place(node),
        }
    }
}
