//! The builtin types as they are spoken in English. Tags say what words are worth:
//!
//! | tag | worth |
//! |---|---|
//! | `y` `n` | yes, no |
//! | `d5` | the digit 5, in a row of digits |
//! | `5` | 5, to be added |
//! | `x100` | what was added, times 100 |
//! | `point` | digits behind it are a fraction |
//! | `minus` | less than nothing |
//! | `USD` … | a currency; what follows is its hundredths |
//! | `cents` | all there is are hundredths |
//! | `m3` `a21` | the month of March, 21 days |
//! | `c19` `y99` | 19 centuries, 99 years |
//! | `h5` `i30` | 5 hours, 30 minutes |
//! | `to` | the minutes before are to the hour after |
//! | `am` `pm` `24` | which half of the day; none |
//! | `x` | an extension follows |

use super::Kind;

const HEAD: &str = "#ABNF 1.0 UTF-8;\nlanguage en-US;\nmode voice;\n";

/// Digits one by one.
const DIGIT: &str = "$d = zero {d0} | oh {d0} | o {d0} | one {d1} | two {d2} | three {d3} \
    | four {d4} | five {d5} | six {d6} | seven {d7} | eight {d8} | nine {d9};\n";

/// Whole numbers.
const WHOLE: &str = "$one = one {1} | two {2} | three {3} | four {4} | five {5} | six {6} \
    | seven {7} | eight {8} | nine {9};\n\
    $teen = ten {10} | eleven {11} | twelve {12} | thirteen {13} | fourteen {14} | fifteen {15} \
    | sixteen {16} | seventeen {17} | eighteen {18} | nineteen {19};\n\
    $ten = twenty {20} | thirty {30} | forty {40} | fifty {50} | sixty {60} | seventy {70} \
    | eighty {80} | ninety {90};\n\
    $tens = $one | $teen | $ten [$one];\n\
    $hundreds = $tens | ($one | $teen | a {1}) hundred {x100} [[and] $tens];\n\
    $thousands = ($hundreds | a {1}) thousand {x1000};\n\
    $millions = ($hundreds | a {1}) million {x1000000};\n\
    $billions = ($hundreds | a {1}) billion {x1000000000};\n\
    $whole = zero {0} | $hundreds | $thousands [[and] $hundreds] \
    | $millions [$thousands] [[and] $hundreds] \
    | $billions [$millions] [$thousands] [[and] $hundreds];\n";

const MONTH: &str = "$month = january {m1} | february {m2} | march {m3} | april {m4} | may {m5} \
    | june {m6} | july {m7} | august {m8} | september {m9} | october {m10} | november {m11} \
    | december {m12};\n\
    $weekday = monday | tuesday | wednesday | thursday | friday | saturday | sunday;\n";

const DAY: &str = "$first = first {a1} | second {a2} | third {a3} | fourth {a4} | fifth {a5} \
    | sixth {a6} | seventh {a7} | eighth {a8} | ninth {a9};\n\
    $one = one {a1} | two {a2} | three {a3} | four {a4} | five {a5} | six {a6} | seven {a7} \
    | eight {a8} | nine {a9};\n\
    $tenth = tenth {a10} | eleventh {a11} | twelfth {a12} | thirteenth {a13} | fourteenth {a14} \
    | fifteenth {a15} | sixteenth {a16} | seventeenth {a17} | eighteenth {a18} \
    | nineteenth {a19} | twentieth {a20} | thirtieth {a30};\n\
    $ten = ten {a10} | eleven {a11} | twelve {a12} | thirteen {a13} | fourteen {a14} \
    | fifteen {a15} | sixteen {a16} | seventeen {a17} | eighteen {a18} | nineteen {a19} \
    | twenty {a20} | thirty {a30};\n\
    $ordinal = $first | $tenth | twenty {a20} $first | thirty {a30} first {a1};\n\
    $day = [the] $ordinal | $one | $ten | twenty {a20} $one | thirty {a30} one {a1};\n";

const YEAR: &str = "$century = fifteen {c15} | sixteen {c16} | seventeen {c17} | eighteen {c18} \
    | nineteen {c19} | twenty {c20} | twenty one {c21};\n\
    $oney = one {y1} | two {y2} | three {y3} | four {y4} | five {y5} | six {y6} | seven {y7} \
    | eight {y8} | nine {y9};\n\
    $teeny = ten {y10} | eleven {y11} | twelve {y12} | thirteen {y13} | fourteen {y14} \
    | fifteen {y15} | sixteen {y16} | seventeen {y17} | eighteen {y18} | nineteen {y19};\n\
    $teny = twenty {y20} | thirty {y30} | forty {y40} | fifty {y50} | sixty {y60} \
    | seventy {y70} | eighty {y80} | ninety {y90};\n\
    $tensy = $teeny | $teny [$oney];\n\
    $year = $century (hundred | (oh | o) $oney | $tensy) \
    | two thousand {c20} [[and] ($oney | $tensy)];\n";

const HOUR: &str = "$hour = one {h1} | two {h2} | three {h3} | four {h4} | five {h5} | six {h6} \
    | seven {h7} | eight {h8} | nine {h9} | ten {h10} | eleven {h11} | twelve {h12};\n\
    $late = thirteen {h13} | fourteen {h14} | fifteen {h15} | sixteen {h16} | seventeen {h17} \
    | eighteen {h18} | nineteen {h19} | twenty {h20} | twenty one {h21} | twenty two {h22} \
    | twenty three {h23} | zero {h0};\n\
    $onei = one {i1} | two {i2} | three {i3} | four {i4} | five {i5} | six {i6} | seven {i7} \
    | eight {i8} | nine {i9};\n\
    $teni = ten {i10} | eleven {i11} | twelve {i12} | thirteen {i13} | fourteen {i14} \
    | fifteen {i15} | sixteen {i16} | seventeen {i17} | eighteen {i18} | nineteen {i19} \
    | (twenty {i20} | thirty {i30} | forty {i40} | fifty {i50}) [$onei];\n\
    $minute = (oh | o | zero) $onei | $teni;\n\
    $some = ($onei | $teni) [minute | minutes] | [a] quarter {i15};\n\
    $half = (am | a m | \"a. m.\" | \"a.m.\") {am} | (pm | p m | \"p. m.\" | \"p.m.\") {pm} \
    | in the morning {am} | in the (afternoon | evening) {pm} | at night {pm};\n";

/// The grammar of a type; `length` is a repeat.
pub(super) fn text(kind: Kind, length: &str) -> String {
    match kind {
        Kind::Boolean => format!(
            "{HEAD}root $boolean;\npublic $boolean = \
             (yes | yeah | yep | yes please | sure | ok | okay | correct | right | true) {{y}} \
             | (no | nope | nah | no thanks | no thank you | wrong | false) {{n}};\n"
        ),
        Kind::Currency => format!(
            "{HEAD}root $currency;\n{WHOLE}{DIGIT}\
             $unit = (dollar | dollars) {{USD}} | (euro | euros) {{EUR}} \
             | (pound | pounds) {{GBP}} | yen {{JPY}};\n\
             $cent = cent | cents | penny | pence;\n\
             public $currency = $whole [point {{point}} $d<1-2>] [$unit] \
             | $whole $unit [and] $tens [$cent] | $tens $cent {{cents}};\n"
        ),
        Kind::Date => format!(
            "{HEAD}root $date;\n{MONTH}{DAY}{YEAR}\
             public $date = [$weekday] ($month $day [$year] | [the] $ordinal [of] $month [$year]) \
             | $month $year | $month | $year;\n"
        ),
        Kind::Digits => {
            format!("{HEAD}root $digits;\n{DIGIT}public $digits = $d{length};\n")
        }
        Kind::Number => format!(
            "{HEAD}root $number;\n{WHOLE}{DIGIT}\
             $fraction = point {{point}} $d<1->;\n\
             public $number = [plus | positive | (minus | negative) {{minus}}] \
             ($whole [$fraction] | $d<2-> [$fraction] | $fraction);\n"
        ),
        Kind::Phone => format!(
            "{HEAD}root $phone;\n{DIGIT}\
             public $phone = $d<1-> [(extension | ext) {{x}} $d<1->];\n"
        ),
        Kind::Time => format!(
            "{HEAD}root $time;\n{HOUR}\
             public $time = $hour [$minute] [$half] | $hour \"o'clock\" [$half] \
             | half {{i30}} past $hour [$half] | $some (past | after) $hour [$half] \
             | $some (to | before) {{to}} $hour [$half] \
             | $late ($minute | hundred [hours]) {{24}} | $hour hundred [hours] {{24}} \
             | noon {{h12}} {{pm}} | midnight {{h12}} {{am}};\n"
        ),
    }
}
