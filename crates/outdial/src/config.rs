//! Settings: the only reader of configuration files and of the environment.
//!
//! The table in `settings.rs` says of every setting what it is; this file reads a file and the
//! environment against it and names every mistake at once, each with what would be right.

mod read;
mod settings;
mod trunks;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(crate) use read::local_address;
pub(crate) use settings::example;
pub(crate) use trunks::{Credentials, Transport, TrunkSettings};

/// An address without a path.
#[derive(Clone, Debug)]
pub(crate) struct BaseUrl(pub(crate) String);

/// Everything that can be set, checked.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// What is heard in conferences while nobody is to be heard.
    pub(crate) hold_music: Option<PathBuf>,
    /// Where the API listens.
    pub(crate) api_listen: SocketAddr,
    /// Where the other servers of the database ask this one.
    pub(crate) api_advertise: Option<BaseUrl>,
    /// Longest time from INVITE to answer.
    pub(crate) ring_time_max: Duration,
    /// Longest time from answer to hang-up.
    pub(crate) call_time_max: Duration,
    /// Pages that the script of a call may ask for.
    pub(crate) pages_max: u32,
    /// How long a shutdown waits for live calls.
    pub(crate) drain_time_max: Duration,
    /// How who answered is told, where the rules of a call do not say.
    pub(crate) classify: media::classify::Settings,
    /// Whom to call when, where campaigns say nothing else.
    pub(crate) dialing: engine::config::DialingConfig,
    /// Private networks that start and result URLs may point into, as CIDR.
    pub(crate) fetch_allow: Vec<String>,
    /// Certificates of further authorities, PEM.
    pub(crate) fetch_ca: Option<PathBuf>,
    /// How long answers to requests with a key are kept.
    pub(crate) keep_answers: Duration,
    /// How long webhooks that are over are kept.
    pub(crate) keep_called: Duration,
    pub(crate) keep_events: Duration,
    pub(crate) keep_recordings: Duration,
    pub(crate) keep_references: Duration,
    pub(crate) keep_webhooks: Duration,
    /// What is logged, as tracing's filter.
    pub(crate) log_filter: String,
    /// JSON lines instead of text.
    pub(crate) log_json: bool,
    /// Address that media is received on.
    pub(crate) rtp_bind: IpAddr,
    /// Address told to the far end; `None`: the bound one.
    pub(crate) rtp_advertise: Option<IpAddr>,
    /// First and last port of media.
    pub(crate) rtp_ports: (u16, u16),
    /// Media threads.
    pub(crate) rtp_threads: usize,
    /// Address for SIP over UDP and TCP.
    pub(crate) sip_bind: SocketAddr,
    /// Host told to the far end in Via and Contact; `None`: the bound address.
    pub(crate) sip_advertise: Option<IpAddr>,
    /// Session timer asked for; `None`: none.
    pub(crate) sip_session: Option<Duration>,
    /// Certificates of further authorities for TLS trunks, PEM.
    pub(crate) sip_ca: Option<PathBuf>,
    /// Program that recognizes speech; empty for none.
    pub(crate) recognition_program: String,
    /// Its acoustic model and dictionary.
    pub(crate) recognition_model: String,
    /// Utterances recognized at the same time.
    pub(crate) recognition_processes: usize,
    /// Program that speaks.
    pub(crate) speech_program: String,
    /// Language of texts that name none.
    pub(crate) speech_language: String,
    /// Texts spoken at the same time.
    pub(crate) speech_processes: usize,
    /// Where everything is remembered.
    pub(crate) store_path: PathBuf,
    pub(crate) store_url: Option<String>,
    /// Zone of times that clients write in words and of dates in results.
    pub(crate) time_zone: String,
    /// Routes to the network.
    pub(crate) trunks: Vec<TrunkSettings>,
}

/// All that is wrong with a configuration.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Mistakes(pub Vec<String>);

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.len();
        write!(f, "the configuration has {count} mistake{}", if count == 1 { "" } else { "s" })?;
        self.0.iter().try_for_each(|mistake| write!(f, "\n  - {mistake}"))
    }
}

impl std::error::Error for Mistakes {}

impl Config {
    /// Where the store is.
    pub(crate) fn store(&self) -> store::StoreConfig {
        let config = store::StoreConfig::new(&self.store_path).at_url(self.store_url.clone());
        store::StoreConfig { home: self.dialing.home.country, ..config }
    }

    /// Reads `file`, then the environment over it (`OUTDIAL_SIP__BIND` is `sip.bind`).
    ///
    /// A file that is named must exist; without a name `outdial.toml` is read where it is there.
    pub(crate) fn load(file: Option<&Path>) -> Result<Self, Mistakes> {
        read::load(file)
    }
}

#[cfg(test)]
mod tests;
