//! Configurations, right and wrong.

use std::io::Write;

use proto::rtp::Codec;

use super::*;

fn load(text: &str) -> Result<Config, Mistakes> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    Config::load(Some(file.path()))
}

#[test]
fn empty_file_gives_the_defaults() {
    let config = load("").unwrap();
    assert_eq!(config.api_listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.ring_time_max, Duration::from_secs(45));
    assert_eq!(config.rtp_ports, (20_000, 39_999));
    assert!(config.trunks.is_empty());
}

#[test]
fn trunk_is_read_with_its_defaults() {
    let config = load("[[trunk]]\nname = 'a'\nhosts = ['127.0.0.1:5070']\nslots = 7").unwrap();
    let trunk = &config.trunks[0];
    assert_eq!((trunk.slots, trunk.calls_per_second), (7, 1));
    assert_eq!(trunk.transport, Transport::Udp);
}

#[test]
fn every_mistake_is_named_at_once() {
    let mistakes = load(
        "[api]\nadvertise = 'ftp://x'\nlisten = 'nowhere'\nport = 5\n[rtp]\nport_min = 70000\n[fetch]\nallow_private = ['x']\n\
         [calls]\ntime_zone = 'Mars/Olympus'\n[log]\njson = 'yes'\n\
         [[trunk]]\nhosts = []\ntransport = 'sctp'\nuser = 'a'\nregister = true\nsrtp = true\ntransfer = 'x'",
    )
    .unwrap_err();
    let text = mistakes.to_string();
    for named in [
        "api.advertise is \"ftp://x\"",
        "api.listen is \"nowhere\"",
        "api.port is unknown",
        "rtp.port_min must be a whole number from 1024 to 65535",
        "fetch.allow_private has \"x\"",
        "calls.time_zone is \"Mars/Olympus\"",
        "log.json must be true or false",
        "trunk 1: name is missing",
        "trunk 1: hosts is missing",
        "trunk 1: transport is \"sctp\"",
        "trunk 1: user is unknown",
        "trunk 1: register needs username and password",
        "trunk 1: srtp needs transport",
        "trunk 1: transfer is \"x\"",
    ] {
        assert!(text.contains(named), "{named} is not named in {text}");
    }
}

#[test]
fn broken_toml_is_told_with_its_place() {
    let text = load("[api\nlisten = 1").unwrap_err().to_string();
    assert!(text.contains("TOML parse error") || text.contains("line 1"), "{text}");
}

#[test]
fn without_the_usual_file_the_defaults_hold() {
    assert!(!Path::new("outdial.toml").exists(), "tests run in a directory without settings");
    assert_eq!(Config::load(None).unwrap().rtp_ports, (20_000, 39_999));
}

#[test]
fn missing_file_is_named() {
    let mistakes = Config::load(Some(Path::new("/nonexistent/outdial.toml"))).unwrap_err();
    assert_eq!(mistakes.0, ["there is no file /nonexistent/outdial.toml"]);
}

#[test]
fn codecs_of_a_trunk_are_read_in_their_order_and_wrong_ones_are_named() {
    let trunk = |codecs: &str| load(&format!("[[trunk]]\nname='a'\nhosts=['h']\n{codecs}"));
    let codecs = |text: &str| trunk(text).unwrap().trunks[0].codecs.clone();
    assert_eq!(codecs(""), [Codec::Pcmu, Codec::Pcma]);
    assert_eq!(codecs("codecs=['Opus','g722','pcma']"), [Codec::Opus, Codec::G722, Codec::Pcma]);
    for (text, named) in [
        ("codecs=['g729']", "codecs has \"g729\", which is none of"),
        ("codecs=['pcma','PCMA']", "codecs has \"PCMA\", twice"),
        ("codecs=[]", "codecs is empty"),
    ] {
        let mistakes = trunk(text).unwrap_err().to_string();
        assert!(mistakes.contains(named), "{named} is not named in {mistakes}");
    }
}

#[test]
fn password_is_not_shown_in_debug_output() {
    let config =
        load("[[trunk]]\nname='a'\nhosts=['h']\nusername='u'\npassword='hunter2'").unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn example_file_lists_every_setting_and_is_itself_right() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../outdial.example.toml");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, example()).unwrap();
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap(), example());
    assert!(load(&example()).is_ok());
    let uncommented: String = example()
        .lines()
        .map(|line| {
            line.strip_prefix("# ")
                .filter(|l| l.contains(" = ") || l.starts_with("[["))
                .unwrap_or(line)
        })
        .collect::<Vec<_>>()
        .join("\n");
    let text = load(&uncommented).unwrap_err().to_string();
    assert!(!text.contains("unknown"), "{text}");
}

const RULES: &str = "version: 2026-12-01\nsource: ours\n\nhours us-tx-hours US-TX\n  \
    about Texas\n  mon-sat 09:00-21:00\n  sun 12:00-21:00\n\ncap our-gap US\n  about ours\n  \
    when asked\n  gap 12h\n";

/// A file with this text, and the setting that names it.
fn named(setting: &str, file: &Path, text: &str) -> String {
    std::fs::write(file, text).unwrap();
    format!("[dialing]\n{setting} = [{:?}]\n", file.display().to_string())
}

#[test]
fn files_of_rules_and_prefixes_are_read_beside_those_that_are_shipped() {
    let dir = tempfile::tempdir().unwrap();
    let text = named("rule_files", &dir.path().join("ours.txt"), RULES);
    let prefixes = dir.path().join("map_data.txt");
    std::fs::write(&prefixes, "version: 2026-12-02\nsource: ours\n1617253|America/Halifax\n")
        .unwrap();
    let policy = dir.path().join("policy.json");
    std::fs::write(&policy, r#"{"number_limits": {"rules": ["our-gap"]}}"#).unwrap();
    let text = format!(
        "{text}prefix_files = [{:?}]\npolicy_file = {:?}\n",
        prefixes.display().to_string(),
        policy.display().to_string()
    );
    let dialing = load(&text).unwrap().dialing;
    let has = |name: &str| dialing.rules.hours_rules().iter().any(|rule| rule.name == name);
    assert!(has("us-tx-hours") && has("us-federal-hours"));
    let labels: Vec<String> =
        dialing.rules.provenance().iter().map(|table| table.label()).collect();
    assert!(labels.contains(&"ours 2026-12-01".to_owned()), "{labels:?}");
    assert_eq!(dialing.standard.caps_asked, ["our-gap"]);
    let atlas = dialing.atlas.unwrap();
    let zones = atlas.zones_by_prefix("16172530000").unwrap();
    assert_eq!(zones.iter().map(|zone| zone.name()).collect::<Vec<_>>(), ["America/Halifax"]);
    assert!(atlas.provenance().iter().any(|table| table.label() == "map_data 2026-12-02"));
}

#[test]
fn file_of_rules_with_a_mistake_is_told_with_its_line() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ours.txt");
    let broken = RULES.replace("sun 12:00", "sun noon");
    let error = load(&named("rule_files", &file, &broken)).unwrap_err().to_string();
    assert!(error.contains("dialing.rule_files: ours, line"), "{error}");
    let error = load(&named("prefix_files", &file, "1617|Nowhere")).unwrap_err().to_string();
    assert!(error.contains("dialing.prefix_files: ours"), "{error}");
    std::fs::remove_file(&file).unwrap();
    let text = format!("[dialing]\nrule_files = [{:?}]\n", file.display().to_string());
    let error = load(&text).unwrap_err().to_string();
    assert!(error.contains("dialing.rule_files: cannot read"), "{error}");
}
