//! One request over HTTP: redirects, the token's rule, stalls, and a reader that a cancel can leave at once.
//!
//! A thread of its own does the blocking reads, so that a cancel is seen within [`GLANCE`] even while a server is silent;
//! the thread ends by itself at its next read or its timeout.

use std::io::Read;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use ureq::Agent;
use ureq::http::{HeaderMap, Uri};

use super::config::{HubConfig, Token};
use super::messages::{self, header};
use super::redirect;
use super::retry::{Fault, GLANCE, Tried, check};
use crate::domain::{Cancel, UserError};

/// Redirects that are followed at most.
const MAX_HOPS: usize = 8;
/// Bytes of one piece of a body.
const CHUNK: usize = 128 * 1024;
/// Pieces that may wait between the reader and the disk.
const CHUNKS_AHEAD: usize = 4;

/// What to ask for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Ask {
    /// The headers that the hub itself sends about a file; a redirect to another host is not followed.
    Head,
    /// The body from this byte on.
    Body {
        /// The first byte.
        from: u64,
    },
}

/// How requests reach a hub.
#[derive(Clone)]
pub(super) struct Wire {
    agent: Agent,
    endpoint: Uri,
    token: Option<Token>,
    stall: Duration,
}

/// The head of an answer, and its body as it comes.
pub(super) struct Answer {
    /// The last status.
    pub status: u16,
    /// The last headers.
    pub headers: HeaderMap,
    /// The headers that came from the hub's own host, of all hops; the first of a name counts.
    pub hub_headers: HeaderMap,
    /// Whether the hub's own host gave the last answer, not one that it redirected to.
    pub is_from_hub: bool,
    host: String,
    stall: Duration,
    messages: Receiver<Message>,
}

enum Message {
    Head(Box<Head>),
    Chunk(Vec<u8>),
    End,
    Fault(Fault),
}

struct Head {
    status: u16,
    headers: HeaderMap,
    hub_headers: HeaderMap,
    host: String,
    is_from_hub: bool,
}

impl Wire {
    pub(super) fn new(config: &HubConfig) -> Self {
        // `HubConfig::new` checked the address; one that was changed since fails at the first request.
        let endpoint: Uri = config.endpoint.parse().unwrap_or_default();
        let timing = &config.timing;
        let mut builder = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .user_agent(config.user_agent.as_str())
            // A compressed body has no byte positions to resume from.
            .accept_encoding("identity")
            .timeout_resolve(Some(timing.connect))
            .timeout_connect(Some(timing.connect))
            .timeout_recv_response(Some(timing.stall))
            .timeout_per_read(Some(timing.stall))
            .timeout_per_write(Some(timing.stall));
        if redirect::is_this_machine(&endpoint) {
            builder = builder.proxy(None);
        }
        Self { agent: builder.build().into(), endpoint, token: config.token.clone(), stall: timing.stall }
    }

    /// Whether the hub itself gets to see a token: there is one, and the way to the hub is encrypted.
    pub(super) fn signs_in(&self) -> bool {
        self.token.is_some() && redirect::may_see_token(&self.endpoint, &self.endpoint)
    }

    /// Sends a request and waits for the head of its answer, whatever its status.
    ///
    /// # Errors
    /// When no answer came, or a redirect led astray; the cancellation.
    pub(super) fn send(&self, ask: Ask, url: &str, cancel: &Cancel) -> Tried<Answer> {
        check(cancel)?;
        let url: Uri = url.parse().map_err(|error| {
            UserError::failed(format!("{url} is no address: {error}"))
                .hint("check HF_ENDPOINT and the repository's name")
        })?;
        let host = url.host().unwrap_or_default().to_owned();
        let (sender, messages) = sync_channel(CHUNKS_AHEAD);
        let wire = self.clone();
        thread::Builder::new()
            .name("hub-request".to_owned())
            .spawn(move || wire.work(ask, url, &sender))
            .map_err(|error| UserError::failed(format!("Could not start a thread for the download: {error}")))?;
        loop {
            check(cancel)?;
            match messages.recv_timeout(GLANCE) {
                Ok(Message::Head(head)) => {
                    let Head { status, headers, hub_headers, host, is_from_hub } = *head;
                    let stall = self.stall;
                    return Ok(Answer { status, headers, hub_headers, is_from_hub, host, stall, messages });
                }
                Ok(Message::Fault(fault)) => return Err(fault),
                // The reader's own timeouts end this wait.
                Err(RecvTimeoutError::Timeout) => {}
                Ok(Message::Chunk(_) | Message::End) | Err(RecvTimeoutError::Disconnected) => {
                    return Err(messages::stalled(&host));
                }
            }
        }
    }

    /// The reader's thread. A receiver that is gone ends it.
    fn work(&self, ask: Ask, url: Uri, sender: &SyncSender<Message>) {
        let last = match self.work_fallibly(ask, url, sender) {
            Ok(()) => Message::End,
            Err(fault) => Message::Fault(fault),
        };
        let _ = sender.send(last);
    }

    fn work_fallibly(&self, ask: Ask, mut url: Uri, sender: &SyncSender<Message>) -> Tried<()> {
        let mut hub_headers = HeaderMap::new();
        for _ in 0..=MAX_HOPS {
            let host = url.host().unwrap_or_default().to_owned();
            let mut request = if ask == Ask::Head { self.agent.head(&url) } else { self.agent.get(&url) };
            if let Ask::Body { from: from @ 1.. } = ask {
                request = request.header("Range", format!("bytes={from}-"));
            }
            if let Some(token) = self.token.as_ref().filter(|_| redirect::may_see_token(&self.endpoint, &url)) {
                request = request.header("Authorization", token.bearer());
            }
            let (head, body) = request.call().map_err(|error| messages::network(&error, &host))?.into_parts();
            let is_from_hub = redirect::is_same_host(&self.endpoint, &url);
            if is_from_hub {
                for (name, value) in &head.headers {
                    hub_headers.entry(name).or_insert_with(|| value.clone());
                }
            }
            let status = head.status.as_u16();
            let is_redirect = matches!(status, 301 | 302 | 303 | 307 | 308);
            if let Some(location) = header(&head.headers, "location").filter(|_| is_redirect) {
                let next = redirect::join(&url, location)
                    .filter(|next| redirect::is_allowed(&url, next))
                    .ok_or_else(|| astray(&host))?;
                if ask != Ask::Head || redirect::is_same_host(&self.endpoint, &next) {
                    url = next;
                    continue;
                }
            }
            let head = Head { status, headers: head.headers, hub_headers, host: host.clone(), is_from_hub };
            if sender.send(Message::Head(Box::new(head))).is_err() || ask == Ask::Head {
                return Ok(());
            }
            return pump(&mut body.into_reader(), sender, &host);
        }
        Err(astray(url.host().unwrap_or_default()))
    }
}

/// Passes a body on, piece by piece.
fn pump(body: &mut impl Read, sender: &SyncSender<Message>, host: &str) -> Tried<()> {
    loop {
        let mut chunk = vec![0; CHUNK];
        let length = body.read(&mut chunk).map_err(|error| messages::network(&error.into(), host))?;
        chunk.truncate(length);
        if length == 0 || sender.send(Message::Chunk(chunk)).is_err() {
            return Ok(());
        }
    }
}

fn astray(host: &str) -> Fault {
    Fault::Final(
        UserError::failed(format!("{host} redirects in a way that is not safe to follow"))
            .hint("a proxy or a wrong HF_ENDPOINT may be in the way"),
    )
}

impl Answer {
    /// The next piece of the body, `None` at its end.
    ///
    /// # Errors
    /// When the connection was cut or stalled; the cancellation.
    pub(super) fn chunk(&self, cancel: &Cancel) -> Tried<Option<Vec<u8>>> {
        let asked = Instant::now();
        loop {
            check(cancel)?;
            match self.messages.recv_timeout(GLANCE) {
                Ok(Message::Chunk(chunk)) => return Ok(Some(chunk)),
                Ok(Message::End) => return Ok(None),
                Ok(Message::Fault(fault)) => return Err(fault),
                Err(RecvTimeoutError::Timeout) if asked.elapsed() < self.stall => {}
                Ok(Message::Head(_)) | Err(_) => return Err(messages::stalled(&self.host)),
            }
        }
    }

    /// The whole body of a small answer.
    ///
    /// # Errors
    /// As [`chunk`](Self::chunk); when it is longer than `limit` bytes.
    pub(super) fn small_body(&self, limit: usize, cancel: &Cancel) -> Tried<Vec<u8>> {
        let mut body = Vec::new();
        while let Some(chunk) = self.chunk(cancel)? {
            body.extend_from_slice(&chunk);
            if body.len() > limit {
                let error = UserError::failed(format!("{} sends more than a hub would", self.host));
                return Err(Fault::Final(error.hint("check HF_ENDPOINT")));
            }
        }
        Ok(body)
    }

    /// Whether the body is a web page, such as that of a network that wants a sign-in first.
    pub(super) fn is_web_page(&self) -> bool {
        header(&self.headers, "content-type").is_some_and(|kind| kind.to_ascii_lowercase().starts_with("text/html"))
    }
}
