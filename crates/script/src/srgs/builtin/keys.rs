//! The builtin types as they are keyed.

use super::Kind;

const HEAD: &str = "#ABNF 1.0;\nmode dtmf;\n";
const DIGIT: &str = "$d = 0|1|2|3|4|5|6|7|8|9;\n";

/// The grammar of a type; `length` is a repeat.
pub(super) fn text(kind: Kind, (yes, no): (char, char), length: &str) -> String {
    let rules = match kind {
        Kind::Boolean => {
            return format!(
                "{HEAD}root $boolean;\npublic $boolean = \"{yes}\" {{y}} | \"{no}\" {{n}};\n"
            );
        }
        Kind::Digits => {
            return format!("{HEAD}root $digits;\n{DIGIT}public $digits = $d{length};\n");
        }
        // The star is the decimal point.
        Kind::Currency => {
            "root $currency;\n\
             public $currency = $d<1-> [\"*\" $d<1->] | \"*\" $d<1->;\n"
        }
        Kind::Number => {
            "root $number;\n\
             public $number = $d<1-> [\"*\" $d<1->] | \"*\" $d<1->;\n"
        }
        // Year, month, day.
        Kind::Date => {
            "root $date;\n\
             $n = 1|2|3|4|5|6|7|8|9;\n\
             public $date = $d<4> (0 $n | 1 (0|1|2)) (0 $n | (1|2) $d | 3 (0|1));\n"
        }
        // The star comes before an extension.
        Kind::Phone => "root $phone;\npublic $phone = $d<1-> [\"*\" $d<1->];\n",
        Kind::Time => {
            "root $time;\n\
             public $time = ((0|1) $d | 2 (0|1|2|3)) (0|1|2|3|4|5) $d;\n"
        }
    };
    let (root, rest) = rules.split_once('\n').unwrap_or((rules, ""));
    format!("{HEAD}{root}\n{DIGIT}{rest}")
}
