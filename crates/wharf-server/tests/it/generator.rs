//! The session generator: `wharf generator` against the simulated network, with Baileys as the bot that takes the string.

use std::io::Read as _;
use std::time::Duration;

use data_encoding::BASE64;
use flate2::read::GzDecoder;
use futures::StreamExt as _;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use wharf_sandbox::{Action, Rule, StanzaMatch};

use crate::moving::World;
use crate::process::{Wharf, wharf};
use crate::remote::{Remote, bubbles, until};

/// Only the pages; keeps nothing.
async fn generator(world: &World, settings: &[(&str, &str)]) -> (Wharf, Remote) {
    let mut command = wharf(&["generator", "--json", "--port", "0"]);
    command.env("WHARF_WHATSAPP__CHAT_URL", world.network.chat_url());
    command.current_dir(world.dir.path());
    command.envs(settings.iter().copied());
    let wharf = Wharf::start(command).await;
    let pages = Remote::new(&wharf.url, None);
    (wharf, pages)
}

async fn begin(pages: &Remote, request: Value) -> String {
    let begun = pages.post("/generator/attempts", request).await;
    begun["id"].as_str().unwrap().to_owned()
}

/// Follows an attempt as its page does, until a step of this name.
async fn step(pages: &Remote, id: &str, wanted: &str) -> Value {
    let path = format!("/generator/attempts/{id}/events");
    let answer = pages.get_as(&path, "text/event-stream").await;
    let mut bytes = answer.bytes_stream();
    let mut text = String::new();
    let found = async {
        while let Some(chunk) = bytes.next().await {
            text.push_str(std::str::from_utf8(&chunk.unwrap()).unwrap());
            for line in text.lines().filter_map(|line| line.strip_prefix("data:")) {
                if let Ok(step) = serde_json::from_str::<Value>(line)
                    && step["step"] == wanted
                {
                    return step;
                }
            }
        }
        panic!("the attempt ended before {wanted}: {text}");
    };
    let found = tokio::time::timeout(Duration::from_secs(60), found).await;
    found.unwrap_or_else(|_| panic!("no {wanted} in time"))
}

/// The QR as the page shows it, read by a camera.
async fn scan(world: &World, pages: &Remote, id: &str) {
    step(pages, id, "scan_qr").await;
    let drawn = pages.get_as(&format!("/generator/attempts/{id}/qr"), "image/png").await;
    assert_eq!(drawn.status(), 200);
    let camera = format!("{}/sandbox/api/read-qr", world.network.control_url().unwrap());
    let picture = reqwest::Client::new().post(camera).body(drawn.bytes().await.unwrap());
    let seen: Value = picture.send().await.unwrap().json().await.unwrap();
    world
        .network
        .scan(&world.own, seen["qr"].as_str().unwrap())
        .await
        .unwrap();
}

async fn refused(pages: &Remote, path: &str, request: Value) -> (StatusCode, String) {
    let answer = pages.call(Method::POST, path, Some(&request)).await.unwrap();
    let status = answer.status();
    let problem: Value = answer.json().await.unwrap();
    (status, problem["code"].as_str().unwrap_or_default().to_owned())
}

fn creds(string: &str) -> String {
    let mut creds = String::new();
    let packed = BASE64.decode(&string.as_bytes()["WHARF~".len()..]).unwrap();
    GzDecoder::new(&*packed).read_to_string(&mut creds).unwrap();
    creds
}

async fn devices(world: &World) -> usize {
    let phone = world.control.get(&format!("/sandbox/api/phones/{}", world.own)).await;
    phone["devices"].as_array().unwrap().len()
}

/// Baileys logs in with the string, which the generator has forgotten, and sends.
async fn bot_works(world: &World, string: &str) {
    let folder = world.dir.path().join("bot");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("creds.json"), creds(string)).unwrap();
    let mut baileys = world.baileys("bot");
    baileys.event("open").await.unwrap();
    baileys.says(&world.friend, "from the bot").await.unwrap();
    world.friend_shows(&["from the bot"]).await;
    baileys.stop(&folder).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scan_gives_a_string_that_a_bot_logs_in_with() {
    let world = World::new().await;
    let (wharf, pages) = generator(&world, &[]).await;
    let id = begin(&pages, json!({})).await;
    scan(&world, &pages, &id).await;
    assert_eq!(step(&pages, &id, "done").await["sent"], true);
    let path = format!("/generator/attempts/{id}/take");
    let taken = pages.post(&path, json!({})).await;
    let string = taken["session"].as_str().unwrap().to_owned();
    assert!(string.starts_with("WHARF~H4sI"), "{string}");
    until("the attempt is gone", || async {
        let again = pages.call(Method::POST, &path, Some(&json!({}))).await.unwrap();
        (again.status() == 404).then_some(())
    })
    .await;
    let own = bubbles(&world.control, &world.own).await;
    assert!(
        own.contains(&string) && own.iter().any(|text| text.contains("Keep it secret")),
        "{own:?}"
    );
    let checked = pages.post("/generator/validate", json!({"data": string})).await;
    assert_eq!(
        (&checked["valid"], &checked["format"]),
        (&json!(true), &json!("baileys_creds"))
    );
    assert_eq!(checked["fingerprint"], taken["fingerprint"]);
    bot_works(&world, &string).await;
    assert_eq!(devices(&world).await, 1, "the device stays linked");
    assert_eq!(world.network.unhandled().await, vec![]);
    wharf.signal("TERM").await;
    assert_eq!(wharf.ended().await.status.code(), Some(0));
    let left: Vec<_> = std::fs::read_dir(world.dir.path())
        .unwrap()
        .map(|file| file.unwrap().file_name())
        .collect();
    assert_eq!(left, ["bot"], "only the bot keeps something");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_is_typed_and_the_string_comes_to_the_own_chat() {
    let world = World::new().await;
    let (_wharf, pages) = generator(&world, &[]).await;
    let code = pages
        .get(&format!("/code?number={}", world.own.trim_start_matches('+')))
        .await;
    let code = code["code"].as_str().unwrap();
    assert_eq!((code.len(), &code[4..5]), (9, "-"));
    world.network.enter_code(&world.own, code).await.unwrap();
    let string = until("the string is in the own chat", || async {
        let own = bubbles(&world.control, &world.own).await;
        own.into_iter().find(|text| text.starts_with("WHARF~"))
    })
    .await;
    bot_works(&world, &string).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attempt_that_is_given_up_leaves_no_device() {
    let world = World::new().await;
    let (_wharf, pages) = generator(&world, &[("WHARF_GENERATOR__ATTEMPTS", "1")]).await;
    let id = begin(&pages, json!({})).await;
    step(&pages, &id, "scan_qr").await;
    let full = refused(&pages, "/generator/attempts", json!({})).await;
    assert_eq!(full, (StatusCode::SERVICE_UNAVAILABLE, "busy".to_owned()));
    let path = format!("/generator/attempts/{id}");
    assert_eq!(pages.call(Method::DELETE, &path, None).await.unwrap().status(), 204);
    until("its place is free", || async {
        let begun = pages
            .call(Method::POST, "/generator/attempts", Some(&json!({})))
            .await
            .unwrap();
        (begun.status() == 201).then_some(())
    })
    .await;
    assert_eq!(devices(&world).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn numbers_addresses_and_other_pages_are_limited() {
    let world = World::new().await;
    let (wharf, pages) = generator(&world, &[("WHARF_GENERATOR__ATTEMPTS_PER_ADDRESS", "6")]).await;
    let begin = |phone: &str| refused(&pages, "/generator/attempts", json!({"phone": phone}));
    assert_eq!(
        begin("12").await,
        (StatusCode::UNPROCESSABLE_ENTITY, "invalid_phone".to_owned())
    );
    for _ in 0..3 {
        assert_eq!(begin("+5511987654321").await.0, StatusCode::CREATED);
    }
    let limited = (StatusCode::TOO_MANY_REQUESTS, "rate_limited".to_owned());
    assert_eq!(
        begin("+551187654321").await,
        limited,
        "the same number, written otherwise"
    );
    for _ in 0..2 {
        begin("+15551230000").await;
    }
    assert_eq!(begin("+15551231111").await, limited, "the address");
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let from = |name: &'static str, value: &'static str| {
        let call = http
            .post(format!("{}/generator/attempts", wharf.url))
            .header(name, value)
            .json(&json!({}));
        async move { call.send().await.unwrap().status() }
    };
    assert_eq!(from("origin", "https://evil.example").await, 403);
    assert_eq!(from("sec-fetch-site", "cross-site").await, 403);
    assert_eq!(from("host", "evil.example").await, 421);
    let broken = http
        .post(format!("{}/generator/validate", wharf.url))
        .json(&json!({"data": "nothing"}));
    assert_eq!(broken.send().await.unwrap().status(), 429);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pages_are_off_unless_the_operator_turns_them_on() {
    let world = World::new().await;
    for (enabled, found) in [("false", 404), ("true", 200)] {
        let mut command = crate::process::serve_command(&world.dir.path().join(enabled));
        command.env("WHARF_GENERATOR__ENABLED", enabled);
        let (_wharf, api) = world.serve_by(command).await;
        for path in ["/qr", "/pair", "/validate", "/generator/style.css"] {
            assert_eq!(api.get_as(path, "*/*").await.status(), found, "{path}");
        }
        assert_eq!(api.get_as("/", "text/html").await.status(), 200);
    }
}

/// Links by a scan and takes the string.
async fn linked(world: &World, pages: &Remote) -> String {
    let id = begin(pages, json!({})).await;
    scan(world, pages, &id).await;
    step(pages, &id, "done").await;
    let taken = pages.post(&format!("/generator/attempts/{id}/take"), json!({})).await;
    taken["session"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_short_string_leads_to_the_database() {
    let world = World::new().await;
    let mut command = crate::process::serve_command(&world.dir.path().join("server"));
    command.env("WHARF_GENERATOR__ENABLED", "true");
    command.env("WHARF_GENERATOR__DESTINATION", "database");
    let (wharf, api) = world.serve_by(command).await;
    let pages = Remote::new(&wharf.url, None);
    let short = linked(&world, &pages).await;
    let id = short.strip_prefix("WHARF~").unwrap();
    assert_eq!(id.len(), 22, "{short}");
    let own = bubbles(&world.control, &world.own).await;
    assert!(own.contains(&short), "{own:?}");
    let checked = pages.post("/generator/validate", json!({ "data": short })).await;
    assert_eq!(checked["valid"], true, "{checked}");
    let whole = api.get(&format!("/api/vault/{id}")).await;
    bot_works(&world, whole["session"].as_str().unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_string_that_nobody_got_is_kept_nowhere() {
    let world = World::new().await;
    let folder = world.dir.path().join("strings");
    let settings = [
        ("WHARF_GENERATOR__DESTINATION", "folder"),
        ("WHARF_VAULT__FOLDER", folder.to_str().unwrap()),
    ];
    let (_wharf, pages) = generator(&world, &settings).await;
    let files = || std::fs::read_dir(&folder).unwrap().count();
    linked(&world, &pages).await;
    assert_eq!(files(), 1);

    let path = format!("/code?number={}", world.friend.trim_start_matches('+'));
    let code = pages.get(&path).await;
    let lost = Rule::new(Action::Lose).stanza(StanzaMatch::tag("ack"));
    let _lost = world.network.fault(lost).unwrap();
    world
        .network
        .enter_code(&world.friend, code["code"].as_str().unwrap())
        .await
        .unwrap();
    until("it was kept", || async { (files() == 2).then_some(()) }).await;
    until("it is gone again", || async { (files() == 1).then_some(()) }).await;
}

#[tokio::test]
async fn a_place_that_is_not_there_is_told_at_the_start() {
    let mut command = wharf(&["generator", "--port", "0"]);
    command.env("WHARF_GENERATOR__DESTINATION", "mega");
    let ended = crate::process::finish(command).await;
    assert!(!ended.status.success());
    assert!(
        ended.stderr.contains("generator.destination") && ended.stderr.contains("vault.mega_email"),
        "{}",
        ended.stderr
    );
}
