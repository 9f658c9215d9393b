//! One-time passwords from end to end: a phone shows the code, the API takes it once, and no digit of it stays anywhere.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use http::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, Command};
use tokio::task::JoinHandle;

use crate::process::{PATIENCE, Wharf, database_of, demo_command};
use crate::remote::{Remote, bubbles, link, phones, session_id, until};

/// A demo, and the friend to whose phone codes are sent.
struct Desk {
    api: Remote,
    sandbox: Remote,
    session: String,
    friend: String,
}

impl Desk {
    /// With what an earlier start linked.
    async fn at(demo: &Wharf) -> Self {
        let (api, sandbox) = (Remote::api(demo), Remote::sandbox(demo));
        let session = session_id(&api).await;
        let friend = phones(&sandbox).await.remove(1);
        Self {
            api,
            sandbox,
            session,
            friend,
        }
    }

    /// With its session linked to the first phone.
    async fn linked(demo: &Wharf) -> Self {
        let desk = Self::at(demo).await;
        let own = phones(&desk.sandbox).await.remove(0);
        link(&desk.api, &desk.sandbox, &desk.session, &own).await;
        desk
    }

    async fn another_phone(&self) -> String {
        let made = self.sandbox.post("/sandbox/api/phones", json!({})).await;
        made["phone"].as_str().unwrap().to_owned()
    }

    /// What a call is answered with, whatever it is.
    async fn ask(&self, path: &str, body: Value) -> (u16, Value) {
        let answer = self.api.call(Method::POST, path, Some(&body)).await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    /// Sends the friend a code of ten digits; returns the verification's id.
    async fn send(&self, purpose: &str) -> String {
        let request = json!({ "phone": format!("+{}", self.friend), "purpose": purpose, "length": 10 });
        let (status, sent) = self.ask("/api/otp/send", request).await;
        assert_eq!((status, &sent["status"]), (202, &json!("pending")), "{sent}");
        sent["id"].as_str().unwrap().to_owned()
    }

    async fn verify(&self, id: &str, code: &str) -> (u16, Value) {
        self.ask("/api/otp/verify", json!({ "id": id, "code": code })).await
    }

    /// Waits until a phone shows so many codes; the newest of them.
    async fn code(&self, phone: &str, count: usize) -> String {
        until(&format!("the phone shows code {count}"), || async {
            codes(&self.sandbox, phone).await.into_iter().nth(count - 1)
        })
        .await
    }

    /// Tries wrong codes until none is taken any more.
    async fn exhaust(&self, id: &str, code: &str) {
        for _ in 0..=5 {
            let (status, problem) = self.verify(id, &other_than(code)).await;
            if problem["code"] == "otp_attempts_exhausted" {
                assert_eq!(status, 410, "{problem}");
                return;
            }
            assert_eq!((status, &problem["code"]), (422, &json!("otp_incorrect")), "{problem}");
        }
        panic!("six wrong codes were compared");
    }

    async fn cancel(&self, id: &str) {
        let (status, shown) = self.ask(&format!("/api/otp/{id}/cancel"), json!({})).await;
        assert_eq!((status, &shown["status"]), (200, &json!("cancelled")), "{shown}");
    }

    /// Switches the friend's phone on or off.
    async fn friend_is(&self, state: Value) {
        let path = format!("/sandbox/api/phones/{}/online", self.friend);
        self.sandbox.post(&path, state).await;
    }

    /// The types of the events about a verification, in their order.
    async fn told(&self, id: &str) -> Vec<String> {
        let page = self.api.get("/api/events?types=otp.*&limit=100").await;
        let events = page["data"].as_array().unwrap().iter();
        events
            .filter(|event| event["data"]["otp_id"] == id)
            .map(|event| event["type"].as_str().unwrap().to_owned())
            .collect()
    }

    async fn is_told(&self, id: &str, kind: &str) {
        until(&format!("{kind} is told"), || async {
            self.told(id).await.iter().any(|told| told == kind).then_some(())
        })
        .await;
    }
}

/// The codes that a phone shows, oldest first: each on a line of its own.
async fn codes(sandbox: &Remote, phone: &str) -> Vec<String> {
    let is_code = |line: &&str| (6..=10).contains(&line.len()) && line.bytes().all(|byte| byte.is_ascii_digit());
    let shown = bubbles(sandbox, phone).await;
    let found = shown.iter().filter_map(|text| text.lines().find(is_code));
    found.map(str::to_owned).collect()
}

/// A code that differs in every digit.
fn other_than(code: &str) -> String {
    code.chars().map(|digit| if digit == '7' { '3' } else { '7' }).collect()
}

#[tokio::test]
async fn a_code_is_sent_read_from_the_phone_and_verified() {
    let dir = tempfile::tempdir().unwrap();
    let demo = Wharf::demo(dir.path()).await;
    let desk = Desk::linked(&demo).await;
    let phone = format!("+{}", desk.friend);
    let request = json!({ "phone": phone, "purpose": "login" });
    let (status, sent) = desk.ask("/api/otp/send", request.clone()).await;
    assert_eq!((status, &sent["status"]), (202, &json!("pending")), "{sent}");
    assert_eq!(
        (&sent["phone"], &sent["session_id"], &sent["resent"]),
        (&json!(phone), &json!(desk.session), &json!(false))
    );
    assert_eq!(sent["attempts_remaining"], 5, "{sent}");
    let id = sent["id"].as_str().unwrap();
    assert!(id.starts_with("otp_"), "{id}");

    let hurried = desk.api.call(Method::POST, "/api/otp/send", Some(&request)).await;
    let hurried = hurried.unwrap();
    assert_eq!(hurried.status(), 429);
    let wait: u64 = hurried.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=30).contains(&wait), "{wait} s");
    assert_eq!(hurried.json::<Value>().await.unwrap()["code"], "otp_resend_too_soon");

    let code = desk.code(&desk.friend, 1).await;
    let (status, problem) = desk.verify(id, &other_than(&code)).await;
    assert_eq!((status, &problem["code"]), (422, &json!("otp_incorrect")), "{problem}");
    assert_eq!(problem["attempts_remaining"], 4, "{problem}");
    let (status, approved) = desk.verify(id, &code).await;
    assert_eq!((status, &approved["status"]), (200, &json!("approved")), "{approved}");
    assert_eq!((&approved["id"], &approved["phone"]), (&json!(id), &json!(phone)));
    let shown = desk.api.get(&format!("/api/otp/{id}")).await;
    let checks = shown["checks"].as_array().unwrap();
    let results: Vec<_> = checks.iter().map(|check| check["result"].as_str().unwrap()).collect();
    assert_eq!(results, ["incorrect", "approved"]);

    let (status, problem) = desk.verify(id, &code).await;
    assert_eq!(
        (status, &problem["code"]),
        (409, &json!("otp_already_used")),
        "{problem}"
    );
}

/// What a person types into the chat is enough: nothing was sent to him.
#[tokio::test]
async fn a_friend_proves_his_number_by_a_text() {
    let dir = tempfile::tempdir().unwrap();
    let demo = Wharf::demo(dir.path()).await;
    let desk = Desk::linked(&demo).await;
    let own = phones(&desk.sandbox).await.remove(0);
    let (status, asked) = desk.ask("/api/otp/receive", json!({ "purpose": "login" })).await;
    assert_eq!((status, &asked["status"]), (202, &json!("pending")), "{asked}");
    let (id, text) = (asked["id"].as_str().unwrap(), asked["text"].as_str().unwrap());
    assert_eq!(asked["link"], format!("https://wa.me/{own}?text={text}"));

    let send = format!("/sandbox/api/phones/{}/send", desk.friend);
    desk.sandbox.post(&send, json!({ "to": own, "text": text })).await;
    let path = format!("/api/otp/{id}");
    let approved = until("the text has come", || async {
        let shown = desk.api.get(&path).await;
        (shown["status"] == "approved").then_some(shown)
    })
    .await;
    assert_eq!(
        (&approved["kind"], &approved["phone"]),
        (&json!("receive"), &json!(format!("+{}", desk.friend))),
        "{approved}"
    );
    desk.is_told(id, "otp.approved").await;

    desk.sandbox.post(&send, json!({ "to": own, "text": text })).await;
    until("both texts are received", || async {
        let inbound = desk.api.all("/api/messages?direction=inbound").await;
        let came = inbound.iter().filter(|message| message["text"]["body"] == text);
        (came.count() == 2).then_some(())
    })
    .await;
    assert_eq!(desk.api.get(&path).await, approved);
    assert_eq!(desk.told(id).await, ["otp.created", "otp.approved"]);
    assert!(bubbles(&desk.sandbox, &own).await.iter().all(|shown| shown == text));
}

/// The page whose programs are run.
const PAGE: &str = include_str!("../../../../docs/otp.md");

/// Writes the programs of the page to files; what runs each, and its file.
fn programs(dir: &Path) -> Vec<(&'static str, PathBuf)> {
    let blocks = [
        ("bash", "bash", "login.sh"),
        ("javascript", "node", "login.mjs"),
        ("python", "python3", "login.py"),
    ];
    let write = |(language, interpreter, file): (&str, &'static str, &str)| {
        let fence = format!("\n```{language}\n");
        assert_eq!(PAGE.matches(&fence).count(), 1, "blocks of {language}");
        let (_, block) = PAGE.split_once(&fence).unwrap();
        let (block, _) = block.split_once("\n```\n").unwrap();
        let path = dir.join(file);
        fs::write(&path, format!("{block}\n")).unwrap();
        (interpreter, path)
    };
    blocks.into_iter().map(write).collect()
}

/// A program of the page in the middle of its work.
struct Login {
    child: Child,
    stdin: ChildStdin,
    said: Arc<Mutex<String>>,
    reader: JoinHandle<()>,
}

impl Login {
    fn start(interpreter: &str, path: &Path, demo: &Wharf, phone: &str) -> Self {
        let mut child = Command::new(interpreter)
            .arg(path)
            .env("WHARF_URL", &demo.url)
            .env("WHARF_KEY", demo.api_key.as_deref().unwrap())
            .env("PHONE", format!("+{phone}"))
            // Curl and Python would ask the proxy of this machine, if it has one.
            .env("no_proxy", "*")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let stdin = child.stdin.take().unwrap();
        let mut stdout = child.stdout.take().unwrap();
        let said = Arc::new(Mutex::new(String::new()));
        let heard = Arc::clone(&said);
        let reader = tokio::spawn(async move {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = stdout.read(&mut buffer).await {
                heard
                    .lock()
                    .unwrap()
                    .push_str(&String::from_utf8_lossy(&buffer[..count]));
            }
        });
        Self {
            child,
            stdin,
            said,
            reader,
        }
    }

    /// Waits until it has asked for a code so many times.
    async fn asks(&self, times: usize) {
        until(&format!("it asks for a code, {times} in all"), || async {
            let asked = self.said.lock().unwrap().matches("Code: ").count();
            (asked == times).then_some(())
        })
        .await;
    }

    async fn hears(&mut self, line: &str) {
        self.stdin.write_all(format!("{line}\n").as_bytes()).await.unwrap();
    }

    /// Waits for its end; its exit status and all that it said.
    async fn ended(mut self) -> (Option<i32>, String) {
        let status = tokio::time::timeout(PATIENCE, self.child.wait())
            .await
            .expect("the program did not end")
            .unwrap();
        self.reader.await.unwrap();
        let said = self.said.lock().unwrap().clone();
        (status.code(), said)
    }
}

#[tokio::test]
async fn the_programs_of_the_documentation_work_as_written() {
    let (dir, scripts) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let demo = Wharf::demo(dir.path()).await;
    let desk = Desk::linked(&demo).await;
    for (interpreter, path) in programs(scripts.path()) {
        let phone = desk.another_phone().await;
        let mut login = Login::start(interpreter, &path, &demo, &phone);
        login.asks(1).await;
        let code = desk.code(&phone, 1).await;
        login.hears(&other_than(&code)).await;
        login.asks(2).await;
        login.hears(&code).await;
        let (status, said) = login.ended().await;
        assert_eq!(status, Some(0), "{interpreter}: {said}");
        assert!(
            said.contains("wrong code, attempts remaining: 4"),
            "{interpreter}: {said}"
        );
        assert!(said.ends_with("welcome\n"), "{interpreter}: {said}");
    }
}

#[tokio::test]
async fn the_programs_of_the_documentation_say_how_long_to_wait_and_when_it_is_over() {
    let (dir, scripts) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let demo = Wharf::demo(dir.path()).await;
    let desk = Desk::linked(&demo).await;
    for (interpreter, path) in programs(scripts.path()) {
        let phone = desk.another_phone().await;
        let mut login = Login::start(interpreter, &path, &demo, &phone);
        login.asks(1).await;
        let (status, said) = Login::start(interpreter, &path, &demo, &phone).ended().await;
        assert_eq!(status, Some(1), "{interpreter}: {said}");
        let wait = said.strip_prefix("too many codes, wait ").unwrap();
        let wait: u64 = wait.strip_suffix(" s\n").unwrap().parse().unwrap();
        assert!((1..=30).contains(&wait), "{interpreter}: {said}");

        let number = format!("+{phone}");
        let listed = desk.api.all("/api/otp").await;
        let pending = listed.iter().find(|shown| shown["phone"] == number).unwrap();
        desk.cancel(pending["id"].as_str().unwrap()).await;
        login.hears("000000").await;
        let (status, said) = login.ended().await;
        assert_eq!(status, Some(1), "{interpreter}: {said}");
        assert!(said.ends_with("otp_cancelled\n"), "{interpreter}: {said}");
    }
}

#[tokio::test]
async fn a_kill_after_the_answer_loses_no_accepted_verification() {
    let dir = tempfile::tempdir().unwrap();
    let demo = Wharf::demo(dir.path()).await;
    let id = Desk::linked(&demo).await.send("login").await;
    demo.kill().await;

    let demo = Wharf::demo(dir.path()).await;
    let desk = Desk::at(&demo).await;
    // From here on nothing sends it again.
    until("the server has the message", || async {
        let shown = desk.api.get(&format!("/api/otp/{id}")).await;
        let status = shown["send_attempts"][0]["status"].as_str().unwrap();
        ["sent", "delivered", "read"].contains(&status).then_some(())
    })
    .await;
    let code = desk.code(&desk.friend, 1).await;
    assert_eq!(codes(&desk.sandbox, &desk.friend).await, [code.as_str()]);
    let (status, approved) = desk.verify(&id, &code).await;
    assert_eq!((status, &approved["status"]), (200, &json!("approved")), "{approved}");
    demo.kill().await;

    let demo = Wharf::demo(dir.path()).await;
    let desk = Desk::at(&demo).await;
    let (status, problem) = desk.verify(&id, &code).await;
    assert_eq!(
        (status, &problem["code"]),
        (409, &json!("otp_already_used")),
        "{problem}"
    );
}

/// What Wharf keeps, each with where it was found: the files of the data directory, and the tables where they lie on a
/// server. Not the sandbox's file, which is the phones' memory.
fn kept(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                folders.push(path);
            } else if !name.starts_with("sandbox.db") {
                found.push((name, fs::read(&path).unwrap()));
            }
        }
    }
    if let Some(url) = database_of(dir.to_str().unwrap()) {
        found.extend(wharf_testkit::postgres::contents(&url).unwrap());
    }
    found
}

fn finds(haystack: &[u8], needle: &str) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle.as_bytes())
}

#[tokio::test]
async fn no_digits_are_left_anywhere() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = demo_command(dir.path());
    command.env("WHARF_LOG__FILTER", "trace");
    let demo = Wharf::start(command).await;
    let desk = Desk::linked(&demo).await;
    let approved = desk.send("login").await;
    let first = desk.code(&desk.friend, 1).await;
    assert_eq!(desk.verify(&approved, &first).await.0, 200);
    let exhausted = desk.send("payment").await;
    let second = desk.code(&desk.friend, 2).await;
    desk.exhaust(&exhausted, &second).await;
    let cancelled = desk.send("farewell").await;
    let third = desk.code(&desk.friend, 3).await;
    desk.cancel(&cancelled).await;

    let mut answers = vec!["/metrics".to_owned()];
    answers.extend(["otp", "messages", "events"].map(|list| format!("/api/{list}?limit=100")));
    answers.extend([&approved, &exhausted, &cancelled].map(|id| format!("/api/otp/{id}")));
    let mut searched = Vec::new();
    for path in answers {
        let answer = desk.api.call(Method::GET, &path, None).await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        searched.push((path, answer.bytes().await.unwrap().to_vec()));
    }
    demo.signal("TERM").await;
    let ended = demo.ended().await;
    assert_eq!(ended.status.code(), Some(0));
    let kept = kept(dir.path());
    let is_ours = kept.iter().any(|(_, bytes)| finds(bytes, "otp.approved"));
    assert!(is_ours, "these are not the rows of Wharf");
    searched.extend(kept);
    searched.push(("the log".to_owned(), ended.stderr.into_bytes()));
    for (place, bytes) in &searched {
        for code in [&first, &second, &third] {
            assert_eq!(code.len(), 10);
            assert!(!finds(bytes, code), "{place} holds a code");
        }
    }
}

#[tokio::test]
async fn a_named_session_never_fails_over_and_a_pool_does() {
    let dir = tempfile::tempdir().unwrap();
    let demo = Wharf::demo(dir.path()).await;
    let desk = Desk::linked(&demo).await;
    let made = desk.api.post("/api/sessions", json!({ "name": "second" })).await;
    let second = made["id"].as_str().unwrap();
    let its_phone = desk.another_phone().await;
    link(&desk.api, &desk.sandbox, second, &its_phone).await;
    let first = format!("/api/sessions/{}", desk.session);
    desk.api.post(&format!("{first}/logout"), json!({})).await;
    until("the first session is logged out", || async {
        let found = desk.api.get(&first).await;
        (found["status"] != "ready").then_some(())
    })
    .await;

    let phone = format!("+{}", desk.friend);
    let named = json!({ "phone": phone, "session_id": desk.session });
    let (status, problem) = desk.ask("/api/otp/send", named).await;
    assert_eq!(
        (status, &problem["code"]),
        (409, &json!("session_unavailable")),
        "{problem}"
    );
    let (status, sent) = desk.ask("/api/otp/send", json!({ "phone": phone })).await;
    assert_eq!((status, &sent["session_id"]), (202, &json!(second)), "{sent}");
    let code = desk.code(&desk.friend, 1).await;
    let (status, approved) = desk.verify(sent["id"].as_str().unwrap(), &code).await;
    assert_eq!(status, 200, "{approved}");
}

#[tokio::test]
async fn a_code_that_does_not_arrive_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = demo_command(dir.path());
    command.env("WHARF_OTP__UNDELIVERED_AFTER", "2s");
    let demo = Wharf::start(command).await;
    let desk = Desk::linked(&demo).await;
    desk.friend_is(json!({ "online": false })).await;
    let id = desk.send("login").await;
    desk.is_told(&id, "otp.undelivered").await;
    assert!(!desk.told(&id).await.contains(&"otp.delivered".to_owned()));

    desk.friend_is(json!({ "online": true })).await;
    let code = desk.code(&desk.friend, 1).await;
    desk.is_told(&id, "otp.delivered").await;
    let told = desk.told(&id).await;
    let undelivered = told.iter().filter(|kind| *kind == "otp.undelivered").count();
    assert_eq!(undelivered, 1, "{told:?}");
    assert!(!desk.api.text("/api/events?limit=100").await.contains(&code));
    assert_eq!(desk.verify(&id, &code).await.0, 200);
}
