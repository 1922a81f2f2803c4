//! Finds references within a document that lead nowhere: dialogs and form items that are not there.
//!
//! The platform finds out when it gets there, which may be in the middle of a call; who checks a
//! document wants to know before.

use roxmltree::Node;

use super::place::{Mistake, Rows};

/// Elements that are form items, and may be gone to by name.
const ITEMS: [&str; 7] = ["block", "field", "initial", "object", "record", "subdialog", "transfer"];
const HANDLERS: [&str; 5] = ["catch", "error", "help", "noinput", "nomatch"];

/// References of the document to dialogs and form items of its own that it has not.
pub(super) fn lost(root: Node<'_, '_>, rows: &Rows<'_>) -> Vec<Mistake> {
    let elements = root.descendants().filter(Node::is_element);
    elements.filter(|element| !is_shared(*element)).filter_map(|it| lost_at(it, rows)).collect()
}

/// Handlers of a document also serve those of which it is the root, whose dialogs they go to
/// (VoiceXML 2.0 §5.2.4).
fn is_shared(element: Node<'_, '_>) -> bool {
    element.ancestors().any(|node| {
        let of_document = node.parent_element().is_some_and(|it| it.tag_name().name() == "vxml");
        HANDLERS.contains(&node.tag_name().name()) && of_document
    })
}

fn lost_at(element: Node<'_, '_>, rows: &Rows<'_>) -> Option<Mistake> {
    let name = element.tag_name().name();
    let attribute = match name {
        "choice" | "goto" | "link" => "next",
        "subdialog" => "src",
        _ => return None,
    };
    let place = |attribute: &str| {
        let found = element.attributes().find(|it| it.name() == attribute);
        found.map_or(element.range().start, |it| it.range_value().start)
    };
    if let Some(item) = element.attribute("nextitem").filter(|_| name == "goto") {
        let form = element.ancestors().find(|node| node.tag_name().name() == "form")?;
        let items = form.children().filter(|it| ITEMS.contains(&it.tag_name().name()));
        let mut names: Vec<&str> = items.filter_map(|it| it.attribute("name")).collect();
        return (!names.contains(&item)).then(|| {
            names.dedup();
            let message = format!("there is no form item {item} in this form{}", there(&names));
            rows.mistake(place("nextitem"), message)
        });
    }
    let id = element.attribute(attribute)?.trim().strip_prefix('#').filter(|it| !it.is_empty())?;
    let dialogs = element.document().root_element().children();
    let dialogs = dialogs.filter(|it| matches!(it.tag_name().name(), "form" | "menu"));
    let ids: Vec<&str> = dialogs.filter_map(|it| it.attribute("id")).collect();
    (!ids.contains(&id)).then(|| {
        let message = format!("there is no dialog {id} in this page{}", there(&ids));
        rows.mistake(place(attribute), message)
    })
}

fn there(names: &[&str]) -> String {
    match names.is_empty() {
        true => String::new(),
        false => format!("; there are {}", names.join(", ")),
    }
}
