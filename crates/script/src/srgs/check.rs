//! Finds the mistakes in a grammar without matching anything.

use std::sync::Arc;

use url::Url;

use super::{Given, Library, Linked, link, read};
use crate::vxml::{Limits, Mistake};

/// Finds all mistakes in a grammar, ABNF or XML, in the order of their places: in its form, in its
/// tags, and in what its rules say of each other. None: it can be used.
///
/// Other documents that it refers to are not looked at.
pub fn check(text: &str, media_type: &str) -> Vec<Mistake> {
    let limits = Limits::default();
    let somewhere = Url::parse("document:///").ok();
    let bytes_max = limits.document_bytes_max;
    let given = Given { url: somewhere.as_ref(), media_type, embedded: false, bytes_max };
    let mut mistakes = read(text, &given).map(Arc::new).and_then(|draft| {
        let linked = link(&draft, None, &Library::default(), limits.grammar_states_max)?;
        match linked {
            Linked::Needs(_) | Linked::Ready(_) => Ok(Vec::new()),
        }
    });
    if let Err(found) = &mut mistakes {
        found.sort_by_key(|mistake| (mistake.row, mistake.column));
    }
    mistakes.unwrap_or_else(|found| found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> String {
        let told: Vec<String> = check(text, "").iter().map(Mistake::to_string).collect();
        told.join("\n")
    }

    #[test]
    fn grammar_in_order_has_no_mistakes() {
        let abnf = "#ABNF 1.0;\nroot $a;\nmode dtmf;\n$a = 1 | $<http://a/b.gram>;\n";
        let xml = "<grammar version='1.0' root='a' mode='dtmf' tag-format='semantics/1.0' \
                   xmlns='http://www.w3.org/2001/06/grammar'>\
                   <rule id='a'><item>1<tag>out = 1;</tag></item></rule></grammar>";
        assert_eq!([told(abnf), told(xml)], ["", ""]);
    }

    #[test]
    fn every_mistake_of_a_grammar_is_told_with_its_place() {
        let xml = "<?xml version=\"1.0\"?>\n\
            <grammar version=\"1.0\" root=\"nope\" mode=\"dtfm\" xml:lang=\"en-US\" \
            xmlns=\"http://www.w3.org/2001/06/grammar\">\n <rule id=\"a\" scope=\"publc\">\
            <item repeat=\"x\">1</item><ruleref uri=\"#b\"/><ruleref special=\"nul\"/></rule>\n \
            <rule id=\"a\"><one-of>2</one-of></rule>\n</grammar>\n";
        let abnf = "#ABNF 1.0;\nmode dtmf;\nroot $digit;\n$digits = 1 | 2 | ;\n$x = (1 | 2;\n\
                    public $y = 1 <3-1>;\n";
        let torn = "<grammar version='1.0' root='a' xmlns='http://www.w3.org/2001/06/grammar'>\n \
                    <rule id='a'><item>1</itm></rule>\n</grammar>\n";
        let headless = "#ABNF 1.0\nroot $a;\n$a = 1;\n";
        let all = [xml, abnf, torn, headless].map(told).join("\n--\n");
        expect_test::expect![[r#"
            2:1: mode dtfm; it is dtmf or voice
            2:1: the root names nope; there is no such rule
            3:2: scope="publc"; it is public or private
            3:29: repeat="x"; it is written as 3, 2-4 or 1-
            3:54: a reference names b; there is no such rule
            3:73: special="nul"; it is one of NULL, VOID, GARBAGE
            4:2: a second rule is named a
            4:15: <one-of> needs at least one <item>
            4:23: text may not stand in <one-of>
            --
            3:6: the root names digit; there is no such rule
            4:19: something to match is wanted here; () matches nothing
            5:12: a bracket without its other one; here is ;
            6:15: the repeat <3-1>; it is written as <3>, <2-4> or <1->
            --
            2:15: <item> is never closed: </item> is missing before </rule> at 2:28
            2:22: </itm> closes nothing; what is open is <item> of 2:15
            --
            1:10: a semicolon ends the header, as in: #ABNF 1.0;"#]]
        .assert_eq(&all);
    }
}
