//! A server that speaks the hub's protocol and misbehaves on demand: the hub on one port, its store of large files (the
//! "CDN") on another.
//!
//! `GET api/models/{repo}/revision/{revision}` lists the files; `resolve/{commit}/{file}` gives a small file itself and
//! redirects to the store for a large one, with the headers that the hub sends. A [`Fault`] happens to so many requests for
//! one file, then all is well again.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};

/// The commit of the server's one revision, `main`.
pub const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// One file of the repository.
#[derive(Clone)]
pub struct Served {
    /// Its path.
    pub name: String,
    /// Its content.
    pub bytes: Vec<u8>,
    /// Its sha256 for a large file, which lies in the store; small ones have none.
    pub sha256: Option<String>,
}

/// What goes wrong with a request for a file's content.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// The connection is cut after this many bytes of the body.
    Cut(usize),
    /// Nothing more comes after this many bytes, until the client hangs up.
    Stall(usize),
    /// 200 and the whole content, whatever range was asked for.
    IgnoreRange,
    /// 206 with a range that was not asked for.
    WrongRange,
    /// 416 whatever was asked for.
    RangeNotSatisfiable,
    /// The right length, other bytes.
    WrongBytes,
    /// Fewer bytes than the file has, said in `Content-Length`.
    TooShort(usize),
    /// More bytes than the file has, without a `Content-Length`.
    TooLong,
    /// Another entity tag of the store.
    OtherEtag,
    /// Another `X-Linked-Etag` of the hub.
    ChangedOnHub,
    /// A web page, as a network's sign-in sends it.
    WebPage,
    /// A status with headers.
    Status(u16, Vec<(&'static str, String)>),
    /// The redirect to the store leads here instead.
    RedirectTo(String),
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Whether it came to the store.
    pub at_store: bool,
    /// `GET` or `HEAD`.
    pub method: String,
    /// Its path with its query.
    pub path: String,
    /// Its headers, names in lower case.
    pub headers: HashMap<String, String>,
}

#[derive(Default)]
struct State {
    files: Vec<Served>,
    faults: HashMap<String, Vec<Fault>>,
    info_fault: Vec<Fault>,
    extra_siblings: Vec<String>,
    token: Option<String>,
    hide_sizes: bool,
    seen: Vec<Seen>,
}

/// The server; it ends when it is dropped.
pub struct HubServer {
    /// The hub's address.
    pub endpoint: String,
    /// The store's address.
    pub store: String,
    state: Arc<Mutex<State>>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl HubServer {
    /// Starts a hub with one repository, whatever its name, of these files.
    pub fn start(files: Vec<Served>) -> Self {
        let hub = TcpListener::bind("127.0.0.1:0").unwrap();
        let store = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = |listener: &TcpListener| format!("http://{}", listener.local_addr().unwrap());
        let (endpoint, store_address) = (address(&hub), address(&store));
        let state = Arc::new(Mutex::new(State { files, ..State::default() }));
        let stop = Arc::new(AtomicBool::new(false));
        let threads = [(hub, false), (store, true)]
            .into_iter()
            .map(|(listener, at_store)| {
                let (state, stop, store) = (state.clone(), stop.clone(), store_address.clone());
                thread::Builder::new()
                    .name("hub-server".to_owned())
                    .spawn(move || {
                        for stream in listener.incoming().map_while(Result::ok) {
                            if stop.load(Ordering::SeqCst) {
                                return;
                            }
                            let (state, store) = (state.clone(), store.clone());
                            let work = move || {
                                // A client that hangs up in the middle is what the tests are about.
                                let _ = serve(stream, at_store, &state, &store);
                            };
                            thread::Builder::new().name("hub-answer".to_owned()).spawn(work).unwrap();
                        }
                    })
                    .unwrap()
            })
            .collect();
        Self { endpoint, store: store_address, state, stop, threads }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// The next request for the content of `file` meets this fault, the one after it the next, and so on.
    pub fn fault(&self, file: &str, fault: Fault) {
        self.state().faults.entry(file.to_owned()).or_default().push(fault);
    }

    /// Takes back the next fault of `file` that has not happened yet, if there is one.
    pub fn forget_fault(&self, file: &str) -> bool {
        self.state().faults.get_mut(file).and_then(Vec::pop).is_some()
    }

    /// The next question about the repository meets this fault.
    pub fn fault_of_info(&self, fault: Fault) {
        self.state().info_fault.push(fault);
    }

    /// Lists a further file, by a name that need not be safe.
    pub fn list_also(&self, name: &str) {
        self.state().extra_siblings.push(name.to_owned());
    }

    /// Wants this token at the hub.
    pub fn want_token(&self, token: &str) {
        self.state().token = Some(token.to_owned());
    }

    /// Lists files without sizes and hashes, as some mirrors do.
    pub fn hide_sizes(&self) {
        self.state().hide_sizes = true;
    }

    /// What came so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.state().seen.clone()
    }
}

impl Drop for HubServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        for address in [&self.endpoint, &self.store] {
            // Wakes the listener up, so that it sees the flag.
            let _ = TcpStream::connect(address.trim_start_matches("http://"));
        }
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// Answers one request; every connection carries one.
fn serve(stream: TcpStream, at_store: bool, state: &Mutex<State>, store: &str) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace();
    let (Some(method), Some(path)) = (words.next(), words.next()) else { return Ok(()) };
    let (method, path) = (method.to_owned(), path.to_owned());
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let seen = Seen { at_store, method, path, headers };
    state.lock().unwrap().seen.push(seen.clone());
    let mut reply = Reply { stream, is_head: seen.method == "HEAD" };
    let name = seen.path.split('?').next().unwrap_or_default().split(&format!("/{COMMIT}/")).nth(1);
    match (at_store, name) {
        (false, None) => list(&seen, state, &mut reply),
        (_, Some(name)) => content(&seen, name, state, store, &mut reply),
        (true, None) => reply.send(404, &[], b""),
    }
}

/// The answer about the repository.
fn list(seen: &Seen, state: &Mutex<State>, reply: &mut Reply) -> std::io::Result<()> {
    let mut state = state.lock().unwrap();
    if refuses(&state, seen) {
        return reply.send(401, &[("X-Error-Code", "RepoNotFound".to_owned())], b"");
    }
    if !state.info_fault.is_empty() {
        let fault = state.info_fault.remove(0);
        drop(state);
        return match fault {
            Fault::Status(status, headers) => reply.send(status, &headers, b""),
            Fault::WebPage => reply.send(200, &[("Content-Type", "text/html".to_owned())], b"<html>sign in</html>"),
            other => panic!("{other:?} cannot happen to the list"),
        };
    }
    let sibling = |file: &Served| {
        let (name, size) = (json_text(&file.name), file.bytes.len());
        match &file.sha256 {
            _ if state.hide_sizes => format!(r#"{{"rfilename":{name}}}"#),
            Some(sha) => format!(r#"{{"rfilename":{name},"size":{size},"lfs":{{"sha256":"{sha}","size":{size}}}}}"#),
            None => format!(r#"{{"rfilename":{name},"size":{size},"blobId":"{}"}}"#, blob_id(file)),
        }
    };
    let mut siblings: Vec<String> = state.files.iter().map(sibling).collect();
    siblings.extend(state.extra_siblings.iter().map(|name| format!(r#"{{"rfilename":{},"size":1}}"#, json_text(name))));
    let json = format!(
        r#"{{"id":"org/name","sha":"{COMMIT}","gated":false,"private":false,"cardData":{{"license":"mit"}},"siblings":[{}]}}"#,
        siblings.join(",")
    );
    drop(state);
    reply.send(200, &[("Content-Type", "application/json".to_owned())], json.as_bytes())
}

/// A file's content, from the hub itself or from the store.
fn content(seen: &Seen, name: &str, state: &Mutex<State>, store: &str, reply: &mut Reply) -> std::io::Result<()> {
    let mut state = state.lock().unwrap();
    let Some(file) = state.files.iter().find(|file| file.name == name).cloned() else {
        return reply.send(404, &[("X-Error-Code", "EntryNotFound".to_owned())], b"");
    };
    if !seen.at_store && refuses(&state, seen) {
        return reply.send(401, &[], b"");
    }
    let is_redirected = file.sha256.is_some() && !seen.at_store;
    // What the hub itself does wrong happens there, all else where the bytes come from.
    let is_of_hub = |fault: &Fault| matches!(fault, Fault::ChangedOnHub | Fault::RedirectTo(_) | Fault::Status(..));
    let faults = state.faults.entry(name.to_owned()).or_default();
    let is_due = faults.first().is_some_and(|fault| is_of_hub(fault) == is_redirected || file.sha256.is_none());
    let fault = (is_due && !reply.is_head).then(|| faults.remove(0));
    drop(state);

    let linked = file.sha256.clone().unwrap_or_else(|| blob_id(&file));
    let mut headers = vec![("X-Repo-Commit", COMMIT.to_owned()), ("Accept-Ranges", "bytes".to_owned())];
    if is_redirected {
        let linked = if fault == Some(Fault::ChangedOnHub) { "f".repeat(64) } else { linked };
        headers.push(("X-Linked-Etag", format!("\"{linked}\"")));
        headers.push(("X-Linked-Size", file.bytes.len().to_string()));
        return match fault {
            Some(Fault::Status(status, headers)) => reply.send(status, &headers, b""),
            Some(Fault::RedirectTo(location)) => reply.send(302, &[("Location", location)], b""),
            _ => {
                headers.push(("Location", format!("{store}/store/{COMMIT}/{name}?signature=x")));
                reply.send(302, &headers, b"")
            }
        };
    }
    let tag = if fault == Some(Fault::OtherEtag) { "other".to_owned() } else { linked };
    headers.push(("ETag", format!("\"{tag}\"")));
    let from =
        seen.headers.get("range").and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
    let size = file.bytes.len();
    let (status, from) = match from {
        Some(from) if fault != Some(Fault::IgnoreRange) && from < size => (206, from),
        Some(from) if from >= size => return reply.send(416, &headers, b""),
        _ => (200, 0),
    };
    if status == 206 {
        let told = if fault == Some(Fault::WrongRange) { from - 1 } else { from };
        headers.push(("Content-Range", format!("bytes {told}-{}/{size}", size - 1)));
    }
    let body = &file.bytes[from..];
    match fault {
        None | Some(Fault::IgnoreRange | Fault::WrongRange | Fault::OtherEtag) => reply.send(status, &headers, body),
        Some(Fault::Cut(after)) => reply.send_part(status, &headers, body, after),
        Some(Fault::Stall(after)) => {
            reply.send_part(status, &headers, body, after)?;
            // Ends when the client closes the connection.
            reply.stream.read(&mut [0]).map(drop)
        }
        Some(Fault::RangeNotSatisfiable) => reply.send(416, &headers, b""),
        Some(Fault::WrongBytes) => {
            let wrong: Vec<u8> = body.iter().map(|byte| !byte).collect();
            reply.send(status, &headers, &wrong)
        }
        Some(Fault::TooShort(by)) => reply.send(status, &headers, &body[..body.len() - by]),
        Some(Fault::TooLong) => {
            let long: Vec<u8> = body.iter().copied().chain([0; 7]).collect();
            reply.send_without_length(status, &headers, &long)
        }
        Some(Fault::WebPage) => {
            reply.send(200, &[("Content-Type", "text/html; charset=utf-8".to_owned())], b"<html>sign in</html>")
        }
        Some(Fault::Status(status, headers)) => reply.send(status, &headers, b""),
        Some(other) => panic!("{other:?} cannot happen here"),
    }
}

fn refuses(state: &State, seen: &Seen) -> bool {
    let sent = seen.headers.get("authorization").map(String::as_str);
    state.token.as_ref().is_some_and(|token| sent != Some(&format!("Bearer {token}")))
}

/// A name for a small file's content, unlike that of every other length and beginning.
fn blob_id(file: &Served) -> String {
    let sum = file.bytes.iter().fold(7_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(*byte)));
    format!("{sum:020x}{:020x}", file.bytes.len())
}

/// A text as JSON.
fn json_text(text: &str) -> String {
    let escaped = |c: char| format!("\\u{:04x}", u32::from(c).min(0xffff));
    format!("\"{}\"", text.chars().fold(String::new(), |text, c| text + &escaped(c)))
}

struct Reply {
    stream: TcpStream,
    is_head: bool,
}

impl Reply {
    fn head(&mut self, status: u16, headers: &[(&str, String)], length: Option<usize>) -> std::io::Result<()> {
        let mut text = format!("HTTP/1.1 {status} Said\r\nConnection: close\r\n");
        for (name, value) in headers {
            text = text + name + ": " + value + "\r\n";
        }
        if let Some(length) = length {
            text = text + "Content-Length: " + &length.to_string() + "\r\n";
        }
        self.stream.write_all(format!("{text}\r\n").as_bytes())
    }

    fn send(&mut self, status: u16, headers: &[(&str, String)], body: &[u8]) -> std::io::Result<()> {
        self.head(status, headers, Some(body.len()))?;
        if self.is_head { Ok(()) } else { self.stream.write_all(body) }
    }

    fn send_part(&mut self, status: u16, headers: &[(&str, String)], body: &[u8], bytes: usize) -> std::io::Result<()> {
        self.head(status, headers, Some(body.len()))?;
        self.stream.write_all(&body[..bytes])
    }

    fn send_without_length(&mut self, status: u16, headers: &[(&str, String)], body: &[u8]) -> std::io::Result<()> {
        self.head(status, headers, None)?;
        self.stream.write_all(body)?;
        self.stream.shutdown(Shutdown::Write)
    }
}
