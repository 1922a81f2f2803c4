//! A phone of our own, led by hand: for what `sipp` cannot do, and to hear exactly what is sent.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::net::UdpSocket;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::Instant;

pub(crate) use crate::ear::{EVENTS, Ear, PCMU, Packet, Voice};
use crate::harness::{at, port, within};
use crate::relay::in_dialog;
use crate::sip::Message;

/// A phone, or a switch with many of them.
pub(crate) struct Phone {
    /// Where it is called.
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    socket: UdpSocket,
    heard: Mutex<Vec<Heard>>,
    changed: Notify,
}

/// A message that it has received.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    pub(crate) from: SocketAddr,
    pub(crate) message: Message,
    pub(crate) at: Instant,
    is_taken: bool,
}

impl Phone {
    /// A phone that answers OPTIONS, and nothing else by itself.
    pub(crate) async fn open() -> Self {
        let socket = UdpSocket::bind(at(port())).await.unwrap();
        let address = socket.local_addr().unwrap();
        let shared = Arc::new(Shared { socket, heard: Mutex::default(), changed: Notify::new() });
        let task = tokio::spawn(listen(Arc::clone(&shared)));
        Self { address, shared, task }
    }

    /// Waits for the next message that fits and was not taken before.
    pub(crate) async fn take(&self, what: &str, fits: impl Fn(&Message) -> bool) -> Heard {
        within(what, async {
            loop {
                let changed = self.shared.changed.notified();
                {
                    let mut heard = self.shared.heard.lock().unwrap();
                    let next = heard.iter_mut().find(|it| !it.is_taken && fits(&it.message));
                    if let Some(next) = next {
                        next.is_taken = true;
                        return next.clone();
                    }
                }
                changed.await;
            }
        })
        .await
    }

    /// Waits for the next request of this method.
    pub(crate) async fn request(&self, method: &str) -> Heard {
        self.take(&format!("{method} comes"), |message| message.is_request(method)).await
    }

    /// Waits for a response to a request of ours.
    pub(crate) async fn response(&self, request: &Message) -> Message {
        let branch = request.branch().to_owned();
        let fits = |message: &Message| {
            message.branch() == branch && message.status().is_some_and(|status| status >= 200)
        };
        self.take(&format!("{} is answered", request.start), fits).await.message
    }

    /// Everything that it has received and that fits.
    pub(crate) fn heard(&self, fits: impl Fn(&Message) -> bool) -> Vec<Heard> {
        let heard = self.shared.heard.lock().unwrap();
        heard.iter().filter(|it| fits(&it.message)).cloned().collect()
    }

    /// Sends a message.
    pub(crate) async fn send(&self, message: &Message, to: SocketAddr) {
        self.shared.socket.send_to(&message.bytes(), to).await.unwrap();
    }

    /// Answers a request, as the callee of this tag.
    pub(crate) async fn answer(&self, request: &Heard, status: u16, words: &str, tag: &str) {
        self.send(&self.response_to(request, status, words, tag), request.from).await;
    }

    /// Accepts an INVITE with this session description.
    pub(crate) async fn accept(&self, invite: &Heard, tag: &str, sdp: &str) {
        let response = self.response_to(invite, 200, "OK", tag).with_sdp(sdp);
        self.send(&response, invite.from).await;
    }

    /// A response with our Contact.
    pub(crate) fn response_to(
        &self,
        request: &Heard,
        status: u16,
        words: &str,
        tag: &str,
    ) -> Message {
        let response = request.message.response(status, words, tag);
        response.with("Contact", format!("<sip:{tag}@{}>", self.address))
    }

    /// Sends a request in the dialog that `invite` began; the answer.
    pub(crate) async fn ask(
        &self,
        invite: &Heard,
        tag: &str,
        method: &str,
        number: u32,
        to: SocketAddr,
    ) -> Message {
        let request = in_dialog(&invite.message, tag, method, number, self.address);
        self.send(&request, to).await;
        self.response(&request).await
    }
}

impl Drop for Phone {
    fn drop(&mut self) {
        self.task.abort();
        if std::thread::panicking() {
            for heard in self.heard(|message| message.method() != "OPTIONS") {
                eprintln!("phone heard {} {}", heard.message.start, heard.message.method());
            }
        }
    }
}

async fn listen(shared: Arc<Shared>) {
    let mut datagram = vec![0; 65_535];
    loop {
        let Ok((length, from)) = shared.socket.recv_from(&mut datagram).await else {
            continue;
        };
        let Some(message) = Message::read(&datagram[..length]) else {
            continue;
        };
        if message.is_request("OPTIONS") && message.tag("To").is_empty() {
            let answer = message.response(200, "OK", "phone");
            shared.socket.send_to(&answer.bytes(), from).await.ok();
            continue;
        }
        let heard = Heard { from, message, at: Instant::now(), is_taken: false };
        shared.heard.lock().unwrap().push(heard);
        shared.changed.notify_waiters();
    }
}
