//! Reads a file and the environment against the table, and collects every mistake.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use domain::calling_hours::RuleBook;
use domain::dial_queue::Sharing;
use domain::policy::CampaignPolicy;
use domain::zones::{Atlas, Home, Zone};
use engine::config::{DialingConfig, HandOver};
use facade::native::policy;
use figment::Figment;
use figment::providers::{Env, Format, Toml};
use figment::value::{Dict, Value};
use proto::rtp::Codec;

use super::settings::{Form, SETTINGS, Setting, TRUNK_SETTINGS};
use super::{BaseUrl, Config, Credentials, Mistakes, Transport, TrunkSettings};

/// File that is read when none is named.
const FILE: &str = "outdial.toml";

pub(super) fn load(file: Option<&Path>) -> Result<Config, Mistakes> {
    if let Some(file) = file.filter(|file| !file.is_file()) {
        return Err(Mistakes(vec![format!("there is no file {}", file.display())]));
    }
    let mut figment = Figment::new();
    // The usual file need not be there; one that is named must.
    if let Some(file) = file.or(Some(Path::new(FILE))).filter(|file| file.is_file()) {
        figment = figment.merge(Toml::file_exact(file));
    }
    let environment = Env::prefixed("OUTDIAL_")
        .ignore(&["api_key", "server", "config"])
        // Passwords of trunks are read beside their trunk.
        .filter(|key| !key.as_str().to_ascii_lowercase().starts_with("trunk_"))
        .split("__");
    let figment = figment.merge(environment);
    let values: Dict = figment
        .extract()
        .map_err(|error| Mistakes(error.into_iter().map(|error| error.to_string()).collect()))?;
    let mut reader = Reader { values, mistakes: Vec::new() };
    let config = reader.config();
    match reader.mistakes {
        mistakes if mistakes.is_empty() => Ok(config),
        mistakes => Err(Mistakes(mistakes)),
    }
}

/// A zone by its name.
struct ZoneName(Zone);

impl FromStr for ZoneName {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        Zone::named(name).map(Self).ok_or(())
    }
}

impl FromStr for BaseUrl {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
        let host = rest.ok_or(())?.trim_end_matches('/');
        let fits = host.chars().all(|sign| sign.is_ascii_alphanumeric() || "-.:[]_".contains(sign));
        if host.is_empty() || !fits { Err(()) } else { Ok(Self(text.to_owned())) }
    }
}

/// What was read, and what was wrong with it; each ask answers with a usable value all the same.
struct Reader {
    values: Dict,
    mistakes: Vec<String>,
}

impl Reader {
    fn config(&mut self) -> Config {
        self.refuse_unknown();
        let config = Config {
            api_advertise: self
                .parsed_if_set("api.advertise", "an address such as http://10.0.0.5:8080"),
            api_listen: self.parsed("api.listen", "an address with port such as 127.0.0.1:8080"),
            ring_time_max: self.seconds("calls.ring_time_max_s"),
            call_time_max: self.seconds("calls.call_time_max_s"),
            drain_time_max: self.seconds("calls.drain_time_max_s"),
            pages_max: self.number("calls.pages_max"),
            classify: self.classify(),
            dialing: self.dialing(),
            fetch_allow: self.list("fetch.allow_private"),
            fetch_ca: self.path("fetch.ca_file"),
            hold_music: self.path("conferences.music_file"),
            keep_answers: self.units("keep.answers_h", 3_600),
            keep_called: self.units("keep.called_d", 24 * 3_600),
            keep_events: self.units("keep.events_d", 24 * 3_600),
            keep_recordings: self.units("keep.recordings_d", 24 * 3_600),
            keep_references: self.units("keep.references_d", 24 * 3_600),
            keep_webhooks: self.units("keep.webhooks_d", 24 * 3_600),
            log_filter: self.text("log.filter"),
            log_json: self.flag("log.json"),
            recognition_program: self.text("recognition.program"),
            recognition_model: self.text("recognition.model"),
            recognition_processes: self.number("recognition.processes"),
            rtp_bind: self.parsed("rtp.bind", "an IP address"),
            rtp_advertise: self.parsed_if_set("rtp.advertise", "an IP address"),
            rtp_ports: (self.number("rtp.port_min"), self.number("rtp.port_max")),
            rtp_threads: self.number("rtp.threads"),
            sip_bind: self.parsed("sip.bind", "an address with port such as 0.0.0.0:5060"),
            sip_advertise: self.parsed_if_set("sip.advertise", "an IP address"),
            sip_session: Some(self.seconds("sip.session_expires_s")).filter(|s| !s.is_zero()),
            sip_ca: self.path("sip.ca_file"),
            speech_program: self.text("speech.program"),
            speech_language: self.text("speech.language"),
            speech_processes: self.number("speech.processes"),
            store_path: PathBuf::from(self.text("store.path")),
            store_url: self.parsed_if_set("store.url", "a URL such as postgres://host/database"),
            time_zone: self.text("calls.time_zone"),
            trunks: self.trunks(),
        };
        self.check_together(&config);
        config
    }

    fn classify(&mut self) -> media::classify::Settings {
        media::classify::Settings {
            humans_taken_max: f32::from(self.number::<u16>("callee_type.humans_taken_max"))
                / 1_000.0,
            greeting_pause: Duration::from_millis(self.number("callee_type.greeting_pause_ms")),
            greeting_within: self.seconds("callee_type.greeting_time_max_s"),
            person_pause: Duration::from_millis(self.number("callee_type.person_pause_ms")),
            words_time: Duration::from_millis(self.number("callee_type.words_ms")),
            ..media::classify::Settings::default()
        }
    }

    fn dialing(&mut self) -> DialingConfig {
        let zone = self.parsed_if_set("dialing.time_zone", "an IANA name");
        let country = self.parsed("dialing.country", "two letters such as US");
        let sharing = match self.text("dialing.fairness").as_str() {
            "by_weight" => Sharing::BY_WEIGHT,
            "equal" => Sharing::EQUAL,
            "smallest_first" => Sharing::EACH_DEAL_SMALLEST_FIRST,
            other => {
                let expected = "by_weight, equal or smallest_first";
                self.mistakes.push(format!("dialing.fairness is {other:?}, use {expected}"));
                Sharing::BY_WEIGHT
            }
        };
        let rules = Arc::new(self.rules());
        DialingConfig {
            atlas: self.atlas(),
            home: Home { country, zone: zone.map(|ZoneName(zone)| zone) },
            of_all_accounts: self.flag("dialing.count_all_accounts"),
            sharing,
            standard: self.standard_policy(&rules),
            rules,
        }
    }

    /// The rules that are shipped and those of the files that are named.
    fn rules(&mut self) -> RuleBook {
        let mut rules = RuleBook::built_in().clone();
        for (name, text) in self.data_files("dialing.rule_files") {
            match rules.clone().with(&name, &text) {
                Ok(more) => rules = more,
                Err(error) => self.mistakes.push(format!("dialing.rule_files: {error}")),
            }
        }
        rules
    }

    /// The tables of prefixes, where files add to those that are shipped.
    fn atlas(&mut self) -> Option<Arc<Atlas>> {
        let files = self.data_files("dialing.prefix_files");
        if files.is_empty() {
            return None;
        }
        let mut atlas = Atlas::built_in().clone();
        for (name, text) in files {
            match atlas.clone().with_prefixes(&name, &text) {
                Ok(more) => atlas = more,
                Err(error) => self.mistakes.push(format!("dialing.prefix_files: {error}")),
            }
        }
        Some(Arc::new(atlas))
    }

    /// Names and texts of the files that a setting lists.
    fn data_files(&mut self, key: &str) -> Vec<(String, String)> {
        let mut files = Vec::new();
        for path in self.list(key) {
            match std::fs::read_to_string(&path) {
                Ok(text) => {
                    let name = Path::new(&path).file_stem().unwrap_or_default();
                    files.push((name.to_string_lossy().into_owned(), text));
                }
                Err(error) => self.mistakes.push(format!("{key}: cannot read {path}: {error}")),
            }
        }
        files
    }

    fn standard_policy(&mut self, rules: &RuleBook) -> CampaignPolicy {
        let standard = CampaignPolicy::default();
        let Some(path) = self.path("dialing.policy_file") else {
            return standard;
        };
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) => {
                let path = path.display();
                self.mistakes.push(format!("dialing.policy_file: cannot read {path}: {error}"));
                return standard;
            }
        };
        policy::from_stored(&text, &standard, rules).unwrap_or_else(|refusals| {
            for refusal in refusals {
                let (field, detail) = (&refusal.field, refusal.detail());
                self.mistakes.push(format!("dialing.policy_file: {field}: {detail}"));
            }
            standard
        })
    }

    /// Rules that concern several settings, or one with the world.
    fn check_together(&mut self, config: &Config) {
        let (first, last) = config.rtp_ports;
        if first >= last {
            self.mistakes
                .push(format!("rtp.port_min is {first}, it must be below rtp.port_max, {last}"));
        }
        if config.sip_session.is_some_and(|session| session < Duration::from_secs(90)) {
            self.mistakes
                .push("sip.session_expires_s must be 0 or at least 90 (RFC 4028 §4)".into());
        }
        if Zone::named(&config.time_zone).is_none() {
            let zone = &config.time_zone;
            self.mistakes.push(format!(
                "calls.time_zone is {zone:?}, use an IANA name such as \"America/New_York\""
            ));
        }
        for network in &config.fetch_allow {
            if !is_network(network) {
                self.mistakes.push(format!(
                    "fetch.allow_private has {network:?}, use a network such as \"10.1.0.0/16\""
                ));
            }
        }
        for (key, file) in [("fetch.ca_file", &config.fetch_ca), ("sip.ca_file", &config.sip_ca)] {
            if let Some(file) = file.as_ref().filter(|file| !file.is_file()) {
                self.mistakes.push(format!("{key}: there is no file {}", file.display()));
            }
        }
        if config.rtp_bind.is_unspecified()
            && config.rtp_advertise.is_none()
            && config.sip_bind.ip().is_unspecified()
            && config.sip_advertise.is_none()
            && config.trunks.iter().any(|trunk| !trunk.allow_loopback)
            && local_address().is_none()
        {
            self.mistakes.push("sip.advertise and rtp.advertise must be set: this machine has no route from which to tell its own address".into());
        }
    }

    fn refuse_unknown(&mut self) {
        let sections: BTreeSet<&str> = SETTINGS
            .iter()
            .filter_map(|s| s.key.split_once('.'))
            .map(|(section, _)| section)
            .collect();
        for (section, value) in &self.values {
            if section == "trunk" {
                continue;
            }
            let Value::Dict(_, entries) = value else {
                self.mistakes.push(unknown(
                    section,
                    &sections.iter().map(|s| format!("[{s}]")).collect::<Vec<_>>(),
                ));
                continue;
            };
            for name in entries.keys() {
                let key = format!("{section}.{name}");
                if !SETTINGS.iter().any(|setting| setting.key == key) {
                    let near: Vec<String> = SETTINGS
                        .iter()
                        .filter(|s| s.key.starts_with(&format!("{section}.")))
                        .map(|s| s.key.into())
                        .collect();
                    self.mistakes.push(unknown(&key, &near));
                }
            }
        }
    }

    fn trunks(&mut self) -> Vec<TrunkSettings> {
        let entries = match self.values.get("trunk").cloned() {
            None => return Vec::new(),
            Some(Value::Array(_, entries)) => entries,
            Some(_) => {
                self.mistakes.push("trunk must be written as [[trunk]], once for each".into());
                return Vec::new();
            }
        };
        let mut names = BTreeSet::new();
        let mut trunks = Vec::new();
        for (nth, entry) in entries.into_iter().enumerate() {
            let label = format!("trunk {}", nth + 1);
            let Value::Dict(_, values) = entry else {
                self.mistakes.push(format!("{label} must be a table, [[trunk]]"));
                continue;
            };
            let mut reader = TrunkReader { label, values, mistakes: &mut self.mistakes };
            let trunk = reader.trunk();
            if !trunk.name.is_empty() && !names.insert(trunk.name.clone()) {
                self.mistakes.push(format!("trunk name {:?} is used twice", trunk.name));
            }
            trunks.push(trunk);
        }
        trunks
    }

    fn find(&self, key: &str) -> Option<&Value> {
        let (section, name) = key.split_once('.')?;
        self.values.get(section)?.as_dict()?.get(name)
    }

    fn take(&mut self, key: &str) -> Option<Value> {
        let setting = setting(SETTINGS, key);
        match self.find(key).cloned() {
            Some(value) => match check(setting, value) {
                Ok(value) => Some(value),
                Err(wanted) => {
                    self.mistakes.push(format!("{key} must be {wanted}"));
                    default(setting)
                }
            },
            None => default(setting),
        }
    }

    fn text(&mut self, key: &str) -> String {
        self.take(key).as_ref().and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    fn flag(&mut self, key: &str) -> bool {
        self.take(key).and_then(|value| value.to_bool()).unwrap_or_default()
    }

    fn list(&mut self, key: &str) -> Vec<String> {
        texts(self.take(key).as_ref())
    }

    fn number<N: TryFrom<i128> + Default>(&mut self, key: &str) -> N {
        let number = self.take(key).and_then(|value| value.to_i128());
        number.and_then(|number| N::try_from(number).ok()).unwrap_or_default()
    }

    fn seconds(&mut self, key: &str) -> Duration {
        Duration::from_secs(self.number(key))
    }

    /// A number of units of so many seconds.
    fn units(&mut self, key: &str, seconds: u64) -> Duration {
        Duration::from_secs(seconds * self.number::<u64>(key))
    }

    fn path(&mut self, key: &str) -> Option<PathBuf> {
        Some(self.text(key)).filter(|text| !text.is_empty()).map(PathBuf::from)
    }

    fn parsed_if_set<T: FromStr>(&mut self, key: &str, wanted: &str) -> Option<T> {
        let text = self.text(key);
        if text.is_empty() {
            return None;
        }
        let parsed = text.parse().ok();
        if parsed.is_none() {
            self.mistakes.push(format!("{key} is {text:?}, it must be {wanted}"));
        }
        parsed
    }

    fn parsed<T: FromStr>(&mut self, key: &str, wanted: &str) -> T {
        self.parsed_if_set(key, wanted).unwrap_or_else(|| {
            let fallback = default(setting(SETTINGS, key));
            let text = fallback.as_ref().and_then(Value::as_str).unwrap_or_default();
            text.parse().ok().expect("the table's defaults are of their own form")
        })
    }
}

/// Reads one trunk.
struct TrunkReader<'a> {
    label: String,
    values: Dict,
    mistakes: &'a mut Vec<String>,
}

impl TrunkReader<'_> {
    fn trunk(&mut self) -> TrunkSettings {
        let known: Vec<String> = TRUNK_SETTINGS.iter().map(|setting| setting.key.into()).collect();
        for key in self.values.keys() {
            if !known.contains(key) {
                self.mistakes.push(unknown(&format!("{}: {key}", self.label), &known));
            }
        }
        let name = self.text("name").unwrap_or_default();
        if name.is_empty() {
            self.mistakes.push(format!("{}: name is missing", self.label));
        } else {
            self.label = format!("trunk {name:?}");
        }
        let trunk = TrunkSettings {
            hosts: texts(self.take("hosts").as_ref()),
            transport: self.transport(),
            slots: self.number("slots"),
            calls_per_second: self.number("calls_per_second"),
            caller_id: self.text("caller_id"),
            domain: self.text("domain"),
            credentials: self.credentials(&name),
            register: self.flag("register"),
            srtp: self.flag("srtp"),
            codecs: self.codecs(),
            transfer: self.hand_over(),
            allow_loopback: self.flag("allow_loopback"),
            name,
        };
        self.check(&trunk);
        trunk
    }

    fn check(&mut self, trunk: &TrunkSettings) {
        let label = &self.label;
        if trunk.hosts.is_empty() {
            self.mistakes.push(format!("{label}: hosts is missing, name at least one"));
        }
        if trunk.register && trunk.credentials.is_none() {
            self.mistakes.push(format!("{label}: register needs username and password"));
        }
        if trunk.srtp && trunk.transport != Transport::Tls {
            self.mistakes.push(format!(
                "{label}: srtp needs transport = \"tls\", since its keys travel in SIP"
            ));
        }
        if let Some(caller_id) = &trunk.caller_id
            && let Err(error) = domain::number::Destination::number(caller_id)
        {
            self.mistakes.push(format!("{label}: caller_id: {error}"));
        }
    }

    /// What is spoken, best first; something in any case, so that the rest can be read.
    fn codecs(&mut self) -> Vec<Codec> {
        let names = texts(self.take("codecs").as_ref());
        let mut codecs = Vec::new();
        for name in &names {
            let named =
                Codec::ALL.into_iter().find(|codec| codec.name().eq_ignore_ascii_case(name));
            let wrong = match named {
                Some(codec) if codecs.contains(&codec) => "twice",
                Some(codec) => {
                    codecs.push(codec);
                    continue;
                }
                None => "which is none of g722, opus, pcma and pcmu",
            };
            self.mistakes.push(format!("{}: codecs has {name:?}, {wrong}", self.label));
        }
        if names.is_empty() {
            self.mistakes.push(format!("{}: codecs is empty, name at least one", self.label));
        }
        codecs
    }

    fn hand_over(&mut self) -> HandOver {
        match self.text("transfer").unwrap_or_default().as_str() {
            "bridge" => HandOver::Bridge,
            "refer" => HandOver::Refer,
            other => {
                let label = &self.label;
                self.mistakes
                    .push(format!("{label}: transfer is {other:?}, it must be bridge or refer"));
                HandOver::Bridge
            }
        }
    }

    fn transport(&mut self) -> Transport {
        match self.text("transport").unwrap_or_default().as_str() {
            "udp" => Transport::Udp,
            "tcp" => Transport::Tcp,
            "tls" => Transport::Tls,
            other => {
                let label = &self.label;
                self.mistakes
                    .push(format!("{label}: transport is {other:?}, it must be udp, tcp or tls"));
                Transport::Udp
            }
        }
    }

    fn credentials(&mut self, name: &str) -> Option<Credentials> {
        let username = self.text("username");
        let password = password_from_environment(name).or_else(|| self.text("password"));
        match (username, password) {
            (Some(username), Some(password)) => {
                Some(Credentials { username, password, realm: self.text("realm") })
            }
            (None, None) => None,
            _ => {
                self.mistakes.push(format!("{}: username and password go together", self.label));
                None
            }
        }
    }

    fn take(&mut self, key: &str) -> Option<Value> {
        let setting = setting(TRUNK_SETTINGS, key);
        match self.values.get(key).cloned() {
            Some(value) => match check(setting, value) {
                Ok(value) => Some(value),
                Err(wanted) => {
                    self.mistakes.push(format!("{}: {key} must be {wanted}", self.label));
                    default(setting)
                }
            },
            None => default(setting),
        }
    }

    fn text(&mut self, key: &str) -> Option<String> {
        self.take(key).as_ref().and_then(Value::as_str).map(str::to_owned)
    }

    fn flag(&mut self, key: &str) -> bool {
        self.take(key).and_then(|value| value.to_bool()).unwrap_or_default()
    }

    fn number(&mut self, key: &str) -> u32 {
        let number = self.take(key).and_then(|value| value.to_i128());
        number.and_then(|number| u32::try_from(number).ok()).unwrap_or_default()
    }
}

fn setting(table: &'static [Setting], key: &str) -> &'static Setting {
    table
        .iter()
        .find(|setting| setting.key == key)
        .expect("every key that is asked for is in the table")
}

fn default(setting: &Setting) -> Option<Value> {
    let document: Dict =
        Figment::from(Toml::string(&format!("value = {}", setting.default?))).extract().ok()?;
    document.get("value").cloned()
}

/// The value where it has the setting's form; else what would have.
fn check(setting: &Setting, value: Value) -> Result<Value, String> {
    let right = match setting.form {
        Form::Bool => value.to_bool().is_some(),
        Form::List => {
            value.as_array().is_some_and(|all| all.iter().all(|one| one.as_str().is_some()))
        }
        Form::Number(least, most) => {
            value.to_i128().is_some_and(|n| (i128::from(least)..=i128::from(most)).contains(&n))
        }
        Form::Text => value.as_str().is_some(),
    };
    if right {
        return Ok(value);
    }
    Err(match setting.form {
        Form::Bool => "true or false".into(),
        Form::List => "a list of texts, [\"…\"]".into(),
        Form::Number(least, most) => format!("a whole number from {least} to {most}"),
        Form::Text => "a text, \"…\"".into(),
    })
}

fn texts(value: Option<&Value>) -> Vec<String> {
    let all = value.and_then(Value::as_array).unwrap_or_default();
    all.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn unknown(key: &str, known: &[String]) -> String {
    format!("{key} is unknown; known here: {}", known.join(", "))
}

fn is_network(text: &str) -> bool {
    let Some((address, bits)) = text.split_once('/') else {
        return text.parse::<std::net::IpAddr>().is_ok();
    };
    let bits = bits.parse::<u8>().ok();
    match address.parse() {
        Ok(std::net::IpAddr::V4(_)) => bits.is_some_and(|bits| bits <= 32),
        Ok(std::net::IpAddr::V6(_)) => bits.is_some_and(|bits| bits <= 128),
        Err(_) => false,
    }
}

/// The address that this machine would use towards the world; nothing is sent.
pub(crate) fn local_address() -> Option<std::net::IpAddr> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    socket.local_addr().ok().map(|address| address.ip())
}

#[expect(clippy::disallowed_methods, reason = "this is the one reader of the environment")]
fn password_from_environment(trunk: &str) -> Option<String> {
    let name: String = trunk
        .chars()
        .map(|sign| if sign.is_ascii_alphanumeric() { sign.to_ascii_uppercase() } else { '_' })
        .collect();
    std::env::var(format!("OUTDIAL_TRUNK_{name}_PASSWORD")).ok()
}
