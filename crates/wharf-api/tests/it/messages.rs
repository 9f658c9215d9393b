use reqwest::Method;
use serde_json::{Value, json};

use crate::app::{App, json_of, message_to, problem, text};

#[tokio::test]
async fn a_message_is_queued_read_with_its_timeline_and_cancelled_once() {
    let app = App::new().await;
    let session = app.session().await;
    let mut body = message_to(&session, "Hola 👋");
    body["metadata"] = json!({"order": 991});
    body["expires_in"] = json!(3600);
    let queued = json_of(app.post("/api/messages", &body).send().await.unwrap(), 202).await;
    assert_eq!(
        (&queued["status"], &queued["to"]),
        (&json!("queued"), &json!("+15551234567"))
    );
    assert_eq!(
        (&queued["text"]["body"], &queued["metadata"]["order"]),
        (&json!("Hola 👋"), &json!(991))
    );

    let path = format!("/api/messages/{}", text(&queued["id"]));
    let found = json_of(app.get(&path).send().await.unwrap(), 200).await;
    assert_eq!(found["timeline"][0]["status"], "queued");
    let cancel = || app.request(Method::POST, &format!("{path}/cancel")).send();
    assert_eq!(json_of(cancel().await.unwrap(), 202).await["status"], "cancelled");
    let found = json_of(app.get(&path).send().await.unwrap(), 200).await;
    assert_eq!(found["timeline"][1]["status"], "cancelled");
}

#[tokio::test]
async fn a_message_that_has_left_cannot_be_cancelled() {
    let app = App::new().await;
    let (session, client) = app.pending("2@x,y,z").await;
    app.network.link(session.parse().unwrap());
    client.link();
    app.until(&session, "ready", |session| session["status"] == "ready")
        .await;
    let mut changes = app.storage.changes();
    let sent = app.send(&session, "on its way").await;
    let path = format!("/api/messages/{}", text(&sent["id"]));
    loop {
        changes.borrow_and_update();
        let found = json_of(app.get(&path).send().await.unwrap(), 200).await;
        if found["status"] == "sent" {
            break;
        }
        changes.changed().await.unwrap();
    }
    let cancel = app
        .request(Method::POST, &format!("{path}/cancel"))
        .send()
        .await
        .unwrap();
    problem(cancel, 409, "message_not_cancellable").await;
}

#[tokio::test]
async fn lists_filter_by_session_chat_direction_and_status() {
    let app = App::new().await;
    let (first, second) = (app.session().await, app.session().await);
    let one = app.send(&first, "one").await;
    app.send(&second, "two").await;
    let count = async |query: String| {
        let page = json_of(app.get(&format!("/api/messages?{query}")).send().await.unwrap(), 200).await;
        page["data"].as_array().unwrap().len()
    };
    assert_eq!(count(String::new()).await, 2);
    assert_eq!(count(format!("session_id={first}")).await, 1);
    assert_eq!(count(format!("session_id={first}&chat=%2B15551234567")).await, 1);
    assert_eq!(count(format!("session_id={first}&chat=15559999999")).await, 0);
    assert_eq!(count("direction=inbound".to_owned()).await, 0);
    assert_eq!(count("status=queued&direction=outbound".to_owned()).await, 2);
    let cancel = app.request(Method::POST, &format!("/api/messages/{}/cancel", text(&one["id"])));
    cancel.send().await.unwrap();
    assert_eq!(count("status=queued".to_owned()).await, 1);
    for wrong in [
        "chat=15551234567",
        "status=lost",
        "direction=up",
        "session_id=ses_1",
        "limit=0",
        "color=red",
    ] {
        let refused = app.get(&format!("/api/messages?{wrong}")).send().await.unwrap();
        problem(refused, 400, "invalid_query").await;
    }
}

#[tokio::test]
async fn faults_of_a_message_are_pointed_at_all_together() {
    let app = App::new().await;
    let session = app.session().await;
    let body = json!({"session_id": session, "to": "nobody", "type": "text", "text": {"body": ""}, "expires_in": 0});
    let refused = problem(
        app.post("/api/messages", &body).send().await.unwrap(),
        422,
        "validation_failed",
    )
    .await;
    let pointers: Vec<&Value> = refused["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|fault| &fault["pointer"])
        .collect();
    for pointer in ["/to", "/text/body", "/expires_in"] {
        assert!(pointers.contains(&&json!(pointer)), "{refused}");
    }
    for (change, pointer) in [
        (json!({"colour": "red"}), "/colour"),
        (json!({"type": "telepathy"}), "/type"),
        (json!({"text": {"body": "a\u{0}b"}}), "/text/body"),
        (json!({"text": {"body": "a", "bold": true}}), "/text/bold"),
        (json!({"session_id": "msg_06bkrxzq3sx4h7e0p9c2d5t8vw"}), "/session_id"),
        (json!({"metadata": {"big": "x".repeat(20_000)}}), "/metadata"),
        (json!({"send_at": "2999-01-01T00:00:00Z"}), "/send_at"),
    ] {
        let mut body = message_to(&session, "fine");
        body.as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
        let refused = problem(
            app.post("/api/messages", &body).send().await.unwrap(),
            422,
            "validation_failed",
        )
        .await;
        assert_eq!(refused["errors"][0]["pointer"], pointer, "{refused}");
    }
}

#[tokio::test]
async fn strange_but_honest_text_is_taken_as_it_is() {
    let app = App::new().await;
    let session = app.session().await;
    for body in [
        "\u{202e}abc\u{200b}",
        "e\u{301}\u{1f468}\u{200d}\u{1f469}",
        "\u{feff}\u{fffd}\r\n\t",
        "\u{10ffff}",
    ] {
        assert_eq!(app.send(&session, body).await["text"]["body"], body);
    }
    app.send(&session, &"\u{1f680}".repeat(65_536)).await;
}

#[tokio::test]
async fn another_workspace_can_neither_send_nor_see() {
    let app = App::new().await;
    let session = app.session().await;
    let message = app.send(&session, "secret").await;
    let stranger = app.stranger().await;
    let send = app.anonymous(Method::POST, "/api/messages").bearer_auth(&stranger);
    problem(
        send.json(&message_to(&session, "x")).send().await.unwrap(),
        404,
        "session_not_found",
    )
    .await;
    let path = format!("/api/messages/{}", text(&message["id"]));
    let get = app.anonymous(Method::GET, &path).bearer_auth(&stranger);
    problem(get.send().await.unwrap(), 404, "message_not_found").await;
    let list = app
        .anonymous(Method::GET, &format!("/api/messages?session_id={session}"))
        .bearer_auth(&stranger);
    problem(list.send().await.unwrap(), 404, "session_not_found").await;
}
