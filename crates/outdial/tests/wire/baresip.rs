//! `baresip` as a callee: answers by itself, writes down what it hears, presses keys when told.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use media::sound::Sound;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::sleep;

use crate::harness::{Process, Stage, at, installed, port, ports, until, until_open};
use crate::sound::wav;

/// Where Debian has its modules.
const MODULES: &str = "/usr/lib/baresip/modules";
/// How long a key is held.
const PRESS: Duration = Duration::from_millis(120);
/// Lets a key go, in the language of its console.
const RELEASE: &[u8] = b"\x04";

/// A running `baresip`.
pub(crate) struct Baresip {
    /// Where it is called.
    pub(crate) address: SocketAddr,
    console: TcpStream,
    heard: PathBuf,
    _process: Process,
}

impl Baresip {
    /// Starts one that answers calls to `number`.
    pub(crate) async fn start(stage: &Stage, number: &str) -> Self {
        let codecs = "module g711.so\n";
        let account = "audio_codecs=pcmu/8000/1,pcma/8000/1";
        Self::with(stage, number, codecs, account, &[]).await
    }

    /// Starts one that speaks nothing but this codec, as baresip writes it, and says these samples
    /// at 8 kHz from the answer on.
    pub(crate) async fn speaking(stage: &Stage, number: &str, codec: &str, says: &[i16]) -> Self {
        let account = format!("audio_codecs={codec}");
        Self::with(stage, number, &modules(codec), &account, says).await
    }

    /// Starts one that is called over TLS, at [`Self::address`], by the certificate `phone.pem` of
    /// the stage, and takes no sound in the clear.
    pub(crate) async fn start_private(stage: &Stage, number: &str) -> Self {
        Self::speaking_privately(stage, number, "pcmu/8000/1", &[]).await
    }

    /// The same that speaks nothing but this codec, and says these samples.
    pub(crate) async fn speaking_privately(
        stage: &Stage,
        number: &str,
        codec: &str,
        says: &[i16],
    ) -> Self {
        let certificate = stage.file("phone.pem");
        let settings = format!(
            "{}module srtp.so\nsip_certificate {}\n",
            modules(codec),
            certificate.display()
        );
        let account = format!("audio_codecs={codec};mediaenc=srtp-mand");
        let phone = Self::with(stage, number, &settings, &account, says).await;
        Self { address: at(phone.address.port() + 1), ..phone }
    }

    /// Starts one with further settings, and parameters of its account.
    async fn with(
        stage: &Stage,
        number: &str,
        settings: &str,
        account: &str,
        says: &[i16],
    ) -> Self {
        let (further, parameters) = (settings, account);
        let home = stage.file("baresip");
        let heard = home.join("heard");
        std::fs::create_dir_all(&heard).unwrap();
        let mut says = says.to_vec();
        says.resize(says.len().max(8_000 * 60), 0);
        let says = stage.write("says.wav", wav(&says));
        // The port after that of SIP is its TLS port.
        let (sip, console, rtp) = (ports(2), port(), ports(20));
        let settings = format!(
            "poll_method epoll\nsip_listen 127.0.0.1:{sip}\nnet_interface 127.0.0.1\n\
             dns_server 127.0.0.1:53\nrtp_ports {rtp}-{}\njitter_buffer_delay 5-10\n\
             audio_player aubridge,heard\naudio_source aufile,{}\naudio_alert aubridge,alert\n\
             ausrc_srate 8000\nauplay_srate 8000\nausrc_channels 1\nauplay_channels 1\n\
             ausrc_format s16\nauplay_format s16\nauenc_format s16\naudec_format s16\n\
             module_path {MODULES}\n{further}module cons.so\nmodule aubridge.so\n\
             module aufile.so\nmodule sndfile.so\nmodule_tmp account.so\nmodule_app menu.so\n\
             cons_listen 127.0.0.1:{console}\nsnd_path {}\ncall_max_calls 4\n",
            rtp + 19,
            says.display(),
            heard.display(),
        );
        let account = format!(
            "<sip:{number}@127.0.0.1:{sip}>;regint=0;answermode=auto;\
             {parameters};dtmfmode=rtpevent\n"
        );
        std::fs::write(home.join("config"), settings).unwrap();
        std::fs::write(home.join("accounts"), account).unwrap();
        std::fs::write(home.join("contacts"), "").unwrap();
        let home = home.display().to_string();
        let process =
            Process::start(stage, "baresip", &installed("baresip"), &["-f", &home, "-v", "-s"]);
        until_open(sip).await;
        let console =
            until("its console is open", async || TcpStream::connect(at(console)).await.ok()).await;
        Self { address: at(sip), console, heard, _process: process }
    }

    /// What it has heard in its only call so far, 8 kHz.
    pub(crate) fn heard(&self) -> Vec<i16> {
        self.heard_from(0)
    }

    /// The same without the first samples.
    pub(crate) fn heard_from(&self, first: usize) -> Vec<i16> {
        let entries = std::fs::read_dir(&self.heard).unwrap().flatten().map(|entry| entry.path());
        let mut recordings = entries.filter(|path| path.to_string_lossy().ends_with("-dec.wav"));
        let Some(recording) = recordings.next() else {
            return Vec::new();
        };
        // While it records, the lengths in the header are not yet true: all behind it is sound.
        let bytes = std::fs::read(recording).unwrap_or_default();
        let (Some(header), Some(sound)) = (bytes.get(..44), bytes.get(44..)) else {
            return Vec::new();
        };
        let channels = usize::from(header[22]).max(1);
        let rate_hz = u32::from_le_bytes([header[24], header[25], header[26], header[27]]);
        let skipped = first * rate_hz as usize / 8_000;
        let samples = sound.chunks_exact(2 * channels).skip(skipped);
        let samples = samples.map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect();
        let sound = Sound::new(rate_hz, samples).and_then(|sound| sound.at_rate(8_000));
        sound.map_or_else(|_| Vec::new(), |sound| sound.samples().to_vec())
    }

    /// Hangs up.
    pub(crate) async fn hang_up(&mut self) {
        self.console.write_all(b"b").await.unwrap();
    }

    /// Waits until it has heard so much sound, in samples.
    pub(crate) async fn until_heard(&self, samples: usize) {
        until("it has heard the prompt", async || (self.heard().len() >= samples).then_some(()))
            .await;
    }

    /// Presses keys, one after the other, as a person does.
    pub(crate) async fn press(&mut self, keys: &str) {
        for key in keys.bytes() {
            self.console.write_all(&[key]).await.unwrap();
            sleep(PRESS).await;
            self.console.write_all(RELEASE).await.unwrap();
            sleep(PRESS).await;
        }
    }
}

/// The settings by which it knows a codec.
fn modules(codec: &str) -> String {
    let module = codec.split('/').next().unwrap_or_default().to_ascii_lowercase();
    if module.starts_with("pcm") {
        return "module g711.so\n".to_owned();
    }
    let settings = format!(
        "module {module}.so\nmodule auresamp.so\nopus_stereo no\nopus_sprop_stereo no\n\
         opus_inbandfec yes\n"
    );
    match Path::new(MODULES).join("auresamp.so").exists() {
        true => settings,
        // Newer ones change rates without a module.
        false => settings.replace("module auresamp.so\n", ""),
    }
}
