//! What the engine is started with; `outdial` reads it from file and environment.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use domain::call::CallLimits;
use domain::calling_hours::RuleBook;
use domain::dial_queue::Sharing;
use domain::ids::TrunkId;
use domain::number::sip_address::SipNumber;
use domain::policy::CampaignPolicy;
use domain::region::Country;
use domain::trunk::TrunkLimits;
use domain::zones::{Atlas, Home};
use proto::rtp::Codec;
use proto::sip::flow::Transport;
use sha2::{Digest, Sha256};

/// Everything that the engine must be told.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the other servers of the database ask this one, as `http://10.0.0.5:8080`.
    pub address: String,
    /// What a call is bounded by.
    pub call_limits: CallLimits,
    /// How who answered is told, where the rules of a call do not say.
    pub classify: media::classify::Settings,
    /// Directory for the journal and cached speech.
    pub data_dir: PathBuf,
    /// Whom to call when.
    pub dialing: DialingConfig,
    /// How long a shutdown waits for live calls.
    pub drain_time_max: Duration,
    /// Outgoing HTTP.
    pub fetch: FetchConfig,
    /// What is heard in conferences while nobody is to be heard, over and over.
    pub hold_music: Option<PathBuf>,
    /// How long what is kept.
    pub keep: KeepConfig,
    /// Pages that the script of a call may ask for.
    pub pages_max: u32,
    /// Recognition of speech.
    pub recognition: RecognitionConfig,
    /// Audio.
    pub rtp: RtpConfig,
    /// Bytes that nobody can guess; all the engine's chance comes from them.
    pub secret: [u8; 32],
    /// Signalling.
    pub sip: SipConfig,
    /// Speech.
    pub speech: SpeechConfig,
    /// IANA zone for facades that show or read local times.
    pub time_zone: String,
    /// Routes to the network.
    pub trunks: Vec<TrunkConfig>,
}

impl Config {
    /// A seed for one purpose; different purposes get seeds that say nothing about each other.
    pub fn seed(&self, purpose: &str) -> u64 {
        let mut hash = Sha256::new();
        hash.update(self.secret);
        hash.update(purpose);
        let bytes: [u8; 32] = hash.finalize().into();
        let (seed, _) = bytes.split_first_chunk().expect("a hash has 32 bytes");
        u64::from_le_bytes(*seed)
    }
}

/// Whom to call when, as far as campaigns say nothing else.
#[derive(Clone, Debug)]
pub struct DialingConfig {
    /// Where numbers are; the tables that are shipped without it.
    pub atlas: Option<Arc<Atlas>>,
    /// Where accounts are: the country as whose numbers are read that name none, and its zone.
    pub home: Home,
    /// Whether calls of all accounts to a number count together.
    pub of_all_accounts: bool,
    /// The rules of the law.
    pub rules: Arc<RuleBook>,
    /// Among whom slots are dealt.
    pub sharing: Sharing,
    /// What holds for campaigns that say nothing.
    pub standard: CampaignPolicy,
}

impl Default for DialingConfig {
    fn default() -> Self {
        Self {
            atlas: None,
            home: Home { country: Country::US, zone: None },
            of_all_accounts: false,
            rules: Arc::new(RuleBook::built_in().clone()),
            sharing: Sharing::BY_WEIGHT,
            standard: CampaignPolicy::default(),
        }
    }
}

/// Outgoing HTTP.
#[derive(Clone, Debug, Default)]
pub struct FetchConfig {
    /// Private networks, as CIDR, that URLs may point into.
    pub allow_private: Vec<String>,
    /// PEM file of further certificate authorities.
    pub ca_file: Option<PathBuf>,
    /// Our own listening addresses, which URLs may not point to.
    pub own_addresses: Vec<SocketAddr>,
}

/// How long what is kept that is not kept for ever.
#[derive(Clone, Copy, Debug)]
pub struct KeepConfig {
    /// Answers to requests that carried a key.
    pub answers: Duration,
    /// When numbers were called, which caps look back at.
    pub called: Duration,
    /// What happened to calls, which clients follow.
    pub events: Duration,
    /// Recordings of calls.
    pub recordings: Duration,
    /// References of contacts that have ended, where each is taken in once.
    pub references: Duration,
    /// Webhooks that are over, and their deliveries.
    pub webhooks: Duration,
}

/// Whether a call's sound is recorded, or silence in its place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TapeState {
    /// Nothing is kept of it, not even silence: its script wants other parts of the call.
    Off,
    /// Somebody keys or says what is nobody's business.
    Paused,
    /// It is recorded.
    #[default]
    Running,
}

impl Default for KeepConfig {
    fn default() -> Self {
        let day = Duration::from_secs(24 * 3_600);
        Self {
            answers: day,
            called: 400 * day,
            events: 400 * day,
            recordings: 30 * day,
            references: 400 * day,
            webhooks: 30 * day,
        }
    }
}

/// Recognition of speech.
#[derive(Clone, Debug)]
pub struct RecognitionConfig {
    /// Where acoustic model and dictionary are.
    pub model: String,
    /// Utterances recognized at the same time.
    pub processes: usize,
    /// The program; empty for none.
    pub program: String,
}

/// Audio.
#[derive(Clone, Debug)]
pub struct RtpConfig {
    /// Address told to the far end.
    pub advertise: IpAddr,
    /// Address that audio is received on.
    pub bind: IpAddr,
    /// Last port.
    pub port_max: u16,
    /// First port.
    pub port_min: u16,
    /// Media threads.
    pub threads: usize,
}

/// Signalling.
#[derive(Clone, Debug)]
pub struct SipConfig {
    /// Address told to the far end.
    pub advertise: IpAddr,
    /// Where UDP and TCP are received.
    pub bind: SocketAddr,
    /// PEM file of further certificate authorities.
    pub ca_file: Option<PathBuf>,
    /// Session timer asked for.
    pub session_expires: Option<Duration>,
}

/// Speech.
#[derive(Clone, Debug)]
pub struct SpeechConfig {
    /// Language of texts that name none.
    pub language: String,
    /// Texts spoken at the same time.
    pub processes: usize,
    /// The program.
    pub program: String,
}

/// How a callee is handed over to somebody else for good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HandOver {
    /// We call the other and send the sound of each to the other.
    #[default]
    Bridge,
    /// We ask the callee's side to call the other, and leave (RFC 3515).
    Refer,
}

/// One route to the network.
#[derive(Clone)]
pub struct TrunkConfig {
    /// Accept audio addresses on this machine itself.
    pub allow_loopback: bool,
    /// Caller ID of calls that name none.
    pub caller_id: Option<String>,
    /// What we speak, best first; at least one.
    pub codecs: Vec<Codec>,
    /// Domain in From and REGISTER; `None`: the first host.
    pub domain: Option<String>,
    /// Hosts in order of preference.
    pub hosts: Vec<String>,
    /// Its id.
    pub id: TrunkId,
    /// Slots and rate.
    pub limits: TrunkLimits,
    /// Name in logs and figures.
    pub name: String,
    /// The only realm the password is for.
    pub realm: Option<String>,
    /// Whether to register.
    pub register: bool,
    /// Whether sound is protected (SRTP, keys in SDP); for trunks over TLS.
    pub srtp: bool,
    /// How callees are handed over to others.
    pub transfer: HandOver,
    /// How SIP travels.
    pub transport: Transport,
    /// User and password for digest authentication.
    pub user: Option<(String, String)>,
}

impl TrunkConfig {
    /// Whether this SIP address is at one of its hosts, or in its domain.
    pub fn is_at(&self, address: &SipNumber) -> bool {
        self.hosts.iter().chain(&self.domain).any(|host| address.is_at(host))
    }
}

impl std::fmt::Debug for TrunkConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TrunkConfig")
            .field("name", &self.name)
            .field("hosts", &self.hosts)
            .field("transport", &self.transport)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
