//! The table of settings: name, form, default and why one would change it.

/// What a value must look like.
#[derive(Clone, Copy, Debug)]
pub(super) enum Form {
    Bool,
    /// A list of texts.
    List,
    /// A whole number between these, both included.
    Number(i64, i64),
    Text,
}

/// One setting.
#[derive(Clone, Copy, Debug)]
pub(super) struct Setting {
    /// `section.name`.
    pub(crate) key: &'static str,
    pub(crate) form: Form,
    /// As written in TOML; `None`: unset.
    pub(crate) default: Option<&'static str>,
    /// An example for the file where there is no default.
    pub(crate) example: &'static str,
    /// What it is, its unit, and why one would change it.
    pub(crate) about: &'static str,
}

const fn with(
    key: &'static str,
    form: Form,
    default: &'static str,
    about: &'static str,
) -> Setting {
    Setting { key, form, default: Some(default), example: default, about }
}

const fn unset(
    key: &'static str,
    form: Form,
    example: &'static str,
    about: &'static str,
) -> Setting {
    Setting { key, form, default: None, example, about }
}

/// All settings outside trunks, in the order of the example file.
pub(super) const SETTINGS: &[Setting] = &[
    unset(
        "api.advertise",
        Form::Text,
        "\"http://10.0.0.5:8080\"",
        "Where the other servers of one PostgreSQL ask this one for recordings that it keeps; unset: api.listen, and for 0.0.0.0 this machine's own address with that port. https where a TLS proxy stands before it.",
    ),
    with(
        "api.listen",
        Form::Text,
        "\"127.0.0.1:8080\"",
        "Address and port of the HTTP API. Open it to the network behind a TLS proxy only.",
    ),
    with(
        "callee_type.greeting_pause_ms",
        Form::Number(500, 10_000),
        "2500",
        "Milliseconds of silence that end a machine's greeting without a beep. Less, and a message may begin before the beep, and begin again after it.",
    ),
    with(
        "callee_type.greeting_time_max_s",
        Form::Number(5, 300),
        "60",
        "Seconds from the answer after which a machine's greeting is taken for over.",
    ),
    with(
        "callee_type.humans_taken_max",
        Form::Number(1, 200),
        "50",
        "People in a thousand who may be taken for machines. Less, and machines are told later.",
    ),
    with(
        "callee_type.person_pause_ms",
        Form::Number(60, 2_000),
        "140",
        "Milliseconds of silence after which somebody who spoke briefly is told to be a person; 340 at least where a greeting is to be heard to its end. More, and people are told later, but fewer machines are taken for people at first.",
    ),
    with(
        "callee_type.words_ms",
        Form::Number(0, 3_000),
        "1000",
        "Milliseconds that a machine waits for its words to be read before it is told for good, where `recognition.program` is there. English phrases of announcements, voicemails and call screeners are listened for, a tenth of a second of a core for each sentence. 0: by sound alone.",
    ),
    with(
        "calls.call_time_max_s",
        Form::Number(1, 86_400),
        "3600",
        "Seconds from answer to hang-up after which a call is cut, whatever its script does.",
    ),
    with(
        "calls.drain_time_max_s",
        Form::Number(0, 86_400),
        "120",
        "Seconds that a shutdown (SIGTERM) waits for live calls before it hangs up.",
    ),
    with(
        "calls.pages_max",
        Form::Number(1, 100_000),
        "1000",
        "Pages that the script of a call may ask for, whatever the callee does; more where surveys are longer. A script that runs away is stopped long before.",
    ),
    with(
        "calls.ring_time_max_s",
        Form::Number(1, 300),
        "45",
        "Seconds that a phone rings before the attempt ends as not answered.",
    ),
    with(
        "calls.time_zone",
        Form::Text,
        "\"UTC\"",
        "Zone of times that clients write in words, and of dates in results (IANA name).",
    ),
    unset(
        "conferences.music_file",
        Form::Text,
        "\"/etc/outdial/music.wav\"",
        "Sound file (WAV or AU) that callees hear, over and over, in conferences while nobody else is there or the conference has not begun; unset: silence.",
    ),
    with(
        "dialing.count_all_accounts",
        Form::Bool,
        "false",
        "Whether gaps, caps and one call at a time count the calls of all accounts to a number together.",
    ),
    with(
        "dialing.country",
        Form::Text,
        "\"US\"",
        "Country (two letters) as whose numbers are read that name none, and the one that may be called without further words.",
    ),
    with(
        "dialing.fairness",
        Form::Text,
        "\"by_weight\"",
        "How slots are dealt: by_weight among accounts, applications and campaigns; equal, the same without weights; or smallest_first, equal for each campaign in every deal.",
    ),
    unset(
        "dialing.policy_file",
        Form::Text,
        "\"/etc/outdial/policy.json\"",
        "JSON file with what holds for campaigns that say nothing, in the form of PATCH /v1/campaigns/{id}/policy: calling hours, caps, destinations.",
    ),
    with(
        "dialing.prefix_files",
        Form::List,
        "[]",
        "Files that say in which zones numbers of a prefix are, beside the tables that are shipped: rows of libphonenumber's timezones/map_data.txt behind a head with version and source. Later files win.",
    ),
    with(
        "dialing.rule_files",
        Form::List,
        "[]",
        "Files of calling hours, holidays and caps beside those that are shipped, in their form (docs/calling-hours.md); a rule of the same name is replaced. Later files win.",
    ),
    unset(
        "dialing.time_zone",
        Form::Text,
        "\"America/New_York\"",
        "Zone (IANA name) of callees of whom nothing is known, as extensions; unset: all zones of the country.",
    ),
    with(
        "fetch.allow_private",
        Form::List,
        "[]",
        "Private networks, as CIDR, that start and result URLs may point into. For clients in your own network; [\"127.0.0.0/8\"] for trying things out.",
    ),
    unset(
        "fetch.ca_file",
        Form::Text,
        "\"/etc/outdial/ca.pem\"",
        "PEM file of further certificate authorities for https URLs.",
    ),
    with(
        "keep.answers_h",
        Form::Number(24, 8_760),
        "24",
        "Hours for which the answer to a request with an Idempotency-Key is kept, so that the same request is done once.",
    ),
    with(
        "keep.called_d",
        Form::Number(31, 400),
        "400",
        "Days for which it is remembered when numbers were called; longer where a campaign's caps look further back.",
    ),
    with(
        "keep.events_d",
        Form::Number(7, 3_650),
        "400",
        "Days for which it is kept what happened to calls, for those who follow it and in the call itself.",
    ),
    with(
        "keep.recordings_d",
        Form::Number(1, 3_650),
        "30",
        "Days for which recordings of calls are kept.",
    ),
    with(
        "keep.references_d",
        Form::Number(7, 3_650),
        "400",
        "Days for which a campaign of unique references knows those of calls that have ended; after that such a call is new.",
    ),
    with(
        "keep.webhooks_d",
        Form::Number(7, 3_650),
        "30",
        "Days for which webhooks that are over stay in the log and can be told again.",
    ),
    with(
        "log.filter",
        Form::Text,
        "\"info\"",
        "What is logged: a level, or a filter such as \"info,engine::sip_io=debug\".",
    ),
    with("log.json", Form::Bool, "false", "Log lines as JSON, for machines."),
    with(
        "recognition.model",
        Form::Text,
        "\"/usr/share/pocketsphinx/model/en-us\"",
        "Directory of the acoustic model and the dictionary.",
    ),
    with(
        "recognition.processes",
        Form::Number(1, 64),
        "2",
        "Utterances recognized at the same time; one a core is enough.",
    ),
    with(
        "recognition.program",
        Form::Text,
        "\"pocketsphinx_batch\"",
        "Program that recognizes what callees say; \"\" for none. Without it callees have keys.",
    ),
    unset(
        "rtp.advertise",
        Form::Text,
        "\"203.0.113.7\"",
        "IP address told to the far end for audio; needed behind NAT.",
    ),
    with("rtp.bind", Form::Text, "\"0.0.0.0\"", "IP address that audio is received on."),
    with("rtp.port_max", Form::Number(1_024, 65_535), "39999", "Last port of audio."),
    with(
        "rtp.port_min",
        Form::Number(1_024, 65_535),
        "20000",
        "First port of audio. Each call takes two; give twice as many as calls at once, at least.",
    ),
    with(
        "rtp.threads",
        Form::Number(1, 64),
        "1",
        "Threads that pace audio; one carries over a thousand calls.",
    ),
    unset(
        "sip.advertise",
        Form::Text,
        "\"203.0.113.7\"",
        "IP address told to the far end in SIP; needed behind NAT.",
    ),
    with("sip.bind", Form::Text, "\"0.0.0.0:5060\"", "Address and port of SIP over UDP and TCP."),
    unset(
        "sip.ca_file",
        Form::Text,
        "\"/etc/outdial/sip-ca.pem\"",
        "PEM file of further certificate authorities for trunks over TLS.",
    ),
    with(
        "sip.session_expires_s",
        Form::Number(0, 86_400),
        "1800",
        "Session timer asked for (RFC 4028), in seconds, so that a dead far end is noticed; 0: none, else at least 90.",
    ),
    with("speech.language", Form::Text, "\"en-US\"", "Language of texts whose script names none."),
    with(
        "speech.processes",
        Form::Number(1, 64),
        "2",
        "Texts spoken at the same time; one a core is enough.",
    ),
    with("speech.program", Form::Text, "\"espeak-ng\"", "Program that turns text into speech."),
    with(
        "store.path",
        Form::Text,
        "\"outdial.db\"",
        "File of the database; its directory also takes the journal and cached speech.",
    ),
    unset(
        "store.url",
        Form::Text,
        "\"postgres://outdial@db.example/outdial?sslmode=verify-full\"",
        "PostgreSQL instead of the file, for several servers on one database; see docs/database.md. A password is better in the environment: OUTDIAL_STORE__URL.",
    ),
];

/// Settings of one trunk, in the order of the example file.
pub(super) const TRUNK_SETTINGS: &[Setting] = &[
    unset("name", Form::Text, "\"carrier\"", "Name in logs and figures. Required."),
    unset(
        "hosts",
        Form::List,
        "[\"sip.carrier.example\"]",
        "Hosts, each with an optional port, in order of preference; names without a port are looked up by SRV first. Required.",
    ),
    with(
        "allow_loopback",
        Form::Bool,
        "false",
        "Accept audio addresses on this machine itself; for trying things out.",
    ),
    with(
        "calls_per_second",
        Form::Number(1, 10_000),
        "1",
        "New calls in any one second; ask your carrier.",
    ),
    unset(
        "caller_id",
        Form::Text,
        "\"+12125550100\"",
        "Caller ID of calls that name none. Without it they show none.",
    ),
    with(
        "codecs",
        Form::List,
        "[\"pcmu\", \"pcma\"]",
        "Codecs that are offered and accepted, best first: pcmu, pcma (G.711), g722, opus. The last two sound better over some networks and cost more of a processor; docs/telephony.md has figures.",
    ),
    unset(
        "domain",
        Form::Text,
        "\"customer.example\"",
        "Domain in From and in REGISTER; unset: the host.",
    ),
    unset(
        "password",
        Form::Text,
        "\"secret\"",
        "Password for digest authentication. Better in the environment: OUTDIAL_TRUNK_<NAME>_PASSWORD.",
    ),
    unset(
        "realm",
        Form::Text,
        "\"carrier.example\"",
        "The only realm that the password is used for; unset: the first that the carrier names.",
    ),
    with("register", Form::Bool, "false", "Register there and keep the registration."),
    with("slots", Form::Number(1, 100_000), "10", "Concurrent calls."),
    with(
        "srtp",
        Form::Bool,
        "false",
        "Protect audio by SRTP, with keys in SDP (AES_CM_128_HMAC_SHA1_80 or _32); needs transport = \"tls\". A far end without it is not called in the clear.",
    ),
    with(
        "transfer",
        Form::Text,
        "\"bridge\"",
        "How scripts hand callees over for good: bridge calls the other and stays between the two; refer asks the carrier by REFER to do it and leaves, where the carrier takes that.",
    ),
    with("transport", Form::Text, "\"udp\"", "udp, tcp or tls."),
    unset("username", Form::Text, "\"customer\"", "User for digest authentication and REGISTER."),
];

/// The annotated example file, as it is checked in beside the README.
pub(crate) fn example() -> String {
    let mut text = String::from(
        "# Every setting with its default; a line that begins with `#` shows an example of one that\n\
         # is unset. The environment overrides: OUTDIAL_SIP__BIND is [sip] bind.\n",
    );
    let mut section = "";
    for setting in SETTINGS {
        let (in_section, name) = setting.key.split_once('.').unwrap_or(("", setting.key));
        if in_section != section {
            section = in_section;
            text.push_str(&format!("\n[{section}]\n"));
        }
        push(&mut text, name, setting);
    }
    text.push_str("\n# One for each route to the network.\n# [[trunk]]\n");
    for setting in TRUNK_SETTINGS {
        text.push_str(&format!("# # {}\n# {} = {}\n", setting.about, setting.key, setting.example));
    }
    text
}

fn push(text: &mut String, name: &str, setting: &Setting) {
    let mark = if setting.default.is_some() { "" } else { "# " };
    text.push_str(&format!("# {}\n{mark}{name} = {}\n", setting.about, setting.example));
}
