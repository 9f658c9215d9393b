//! Everything that people say besides plain texts, from one phone to another.

use wharf_sandbox::{
    Message, MessageStatus, NewContact, NewEdit, NewGroup, NewLocation, NewMessage, NewPhone, NewPoll, NewReaction,
    NewRevoke, NewVote, Sandbox, SandboxConfig,
};

use crate::raw_client::PATIENCE;

struct Pair {
    sandbox: Sandbox,
    alice: String,
    bob: String,
}

async fn pair() -> Pair {
    let sandbox = Sandbox::start(SandboxConfig::default()).await.unwrap();
    let alice = sandbox.create_phone(NewPhone::default()).await.unwrap().phone;
    let bob = sandbox.create_phone(NewPhone::default()).await.unwrap().phone;
    Pair { sandbox, alice, bob }
}

impl Pair {
    /// Alice says something to Bob.
    async fn say(&self, message: impl Into<NewMessage>) -> String {
        self.sandbox.send(&self.alice, &self.bob, message.into()).await.unwrap()
    }

    /// What Bob sees of it.
    async fn seen(&self, wanted: impl Fn(&Message) -> bool) -> Message {
        self.sandbox
            .wait_for_message(&self.bob, wanted, PATIENCE)
            .await
            .unwrap()
    }
}

fn text(text: &str) -> NewMessage {
    NewMessage::from(text)
}

#[tokio::test]
async fn a_reply_names_what_it_answers_and_whom_it_mentions() {
    let pair = pair().await;
    let first = pair.say("shall we?").await;
    let id = pair
        .say(NewMessage::Text {
            text: "@Bob yes".to_owned(),
            reply_to: Some(first.clone()),
            mentions: vec![pair.bob.clone()],
            expires_in: Some(86_400),
        })
        .await;
    let seen = pair.seen(|message| message.id == id).await;
    assert_eq!((seen.kind.as_str(), seen.text.as_str()), ("text", "@Bob yes"));
    assert_eq!(
        (seen.about, seen.mentions, seen.expires_in),
        (Some(first), vec![pair.bob.clone()], Some(86_400))
    );
}

#[tokio::test]
async fn places_people_and_reactions_are_shown() {
    let pair = pair().await;
    let place = NewMessage::Location(NewLocation {
        latitude: 59.91,
        longitude: 10.75,
        name: Some("Harbour".to_owned()),
    });
    let id = pair.say(place).await;
    let seen = pair.seen(|message| message.id == id).await;
    assert_eq!(
        (seen.kind.as_str(), seen.text.as_str()),
        ("location", "Harbour (59.91, 10.75)")
    );
    let person = NewMessage::Contact(NewContact {
        name: "Carol".to_owned(),
        phone: "+15550100009".to_owned(),
    });
    let id = pair.say(person).await;
    assert_eq!(pair.seen(|message| message.id == id).await.text, "Carol");

    let react = |emoji: &str| {
        NewMessage::Reaction(NewReaction {
            message: id.clone(),
            emoji: emoji.to_owned(),
        })
    };
    pair.say(react("👍")).await;
    let seen = pair
        .seen(|message| message.id == id && !message.reactions.is_empty())
        .await;
    assert_eq!(seen.reactions.get(&pair.alice).map(String::as_str), Some("👍"));
    pair.say(react("")).await;
    pair.seen(|message| message.id == id && message.reactions.is_empty())
        .await;
}

#[tokio::test]
async fn its_author_changes_a_message_and_takes_it_back_and_nobody_else() {
    let pair = pair().await;
    let id = pair.say("helo").await;
    pair.seen(|message| message.id == id).await;
    let edit = |text: &str| {
        NewMessage::Edit(NewEdit {
            message: id.clone(),
            text: text.to_owned(),
        })
    };
    pair.say(edit("hello")).await;
    let seen = pair.seen(|message| message.id == id && message.edited).await;
    assert_eq!(seen.text, "hello");
    let foreign = pair.sandbox.send(&pair.bob, &pair.alice, edit("goodbye")).await;
    assert_eq!(foreign.unwrap_err().code(), "invalid_message");
    let revoke = NewMessage::Revoke(NewRevoke { message: id.clone() });
    pair.say(revoke).await;
    let seen = pair.seen(|message| message.id == id && message.revoked).await;
    assert_eq!(seen.text, "");
}

#[tokio::test]
async fn votes_are_counted_on_every_phone_of_a_group() {
    let pair = pair().await;
    let carol = pair.sandbox.create_phone(NewPhone::default()).await.unwrap().phone;
    let group = NewGroup {
        subject: "Supper".to_owned(),
        members: vec![pair.bob.clone(), carol.clone()],
    };
    let group = pair.sandbox.create_group(&pair.alice, group).await.unwrap().group;
    let poll = NewMessage::Poll(NewPoll {
        name: "Soup?".to_owned(),
        options: vec!["yes".to_owned(), "no".to_owned()],
        choose: 1,
    });
    let id = pair.sandbox.send(&pair.alice, &group, poll).await.unwrap();
    pair.seen(|message| message.id == id).await;
    let vote = |option: &str| {
        NewMessage::Vote(NewVote {
            message: id.clone(),
            options: vec![option.to_owned()],
        })
    };
    let votes =
        |message: &Message| -> Vec<usize> { message.options.iter().map(|option| option.voters.len()).collect() };
    for (option, counted) in [("no", [0, 1]), ("yes", [1, 0])] {
        pair.sandbox.send(&pair.bob, &group, vote(option)).await.unwrap();
        for phone in [&pair.alice, &pair.bob, &carol] {
            let wanted = |message: &Message| message.id == id && votes(message) == counted;
            pair.sandbox.wait_for_message(phone, wanted, PATIENCE).await.unwrap();
        }
    }
    let unknown = pair.sandbox.send(&pair.bob, &group, vote("perhaps")).await;
    assert_eq!(unknown.unwrap_err().code(), "invalid_message");
}

#[tokio::test]
async fn what_cannot_be_said_is_refused() {
    let pair = pair().await;
    let poll = |options: &[&str]| {
        NewMessage::Poll(NewPoll {
            name: "Soup?".to_owned(),
            options: options.iter().map(|&option| option.to_owned()).collect(),
            choose: 0,
        })
    };
    let place = |latitude| {
        NewMessage::Location(NewLocation {
            latitude,
            longitude: 0.0,
            name: None,
        })
    };
    let contact = |name: &str, phone: &str| {
        NewMessage::Contact(NewContact {
            name: name.to_owned(),
            phone: phone.to_owned(),
        })
    };
    for wrong in [
        poll(&["one"]),
        poll(&["one", "one"]),
        poll(&["one", ""]),
        place(90.5),
        place(f64::NAN),
        contact("", "15550100001"),
        contact("two\nlines", "15550100001"),
        contact("Carol", "12ab"),
    ] {
        let refused = pair.sandbox.send(&pair.alice, &pair.bob, wrong.clone()).await;
        assert_eq!(refused.unwrap_err().code(), "invalid_message", "{wrong:?}");
    }
    let nothing = NewMessage::Revoke(NewRevoke {
        message: "nothing".to_owned(),
    });
    let refused = pair.sandbox.send(&pair.alice, &pair.bob, nothing).await;
    assert_eq!(refused.unwrap_err().code(), "unknown_message");
    let refused = pair.sandbox.send(&pair.alice, &pair.bob, text("")).await;
    assert_eq!(refused.unwrap_err().code(), "invalid_text");
}

#[tokio::test]
async fn who_hides_what_he_reads_sends_no_read_receipts() {
    use crate::companion::Companion;
    use wacore_binary::builder::NodeBuilder;

    let pair = pair().await;
    let mut his = Companion::linked(&pair.sandbox, &pair.bob).await;
    let category = NodeBuilder::new("category")
        .attr("name", "readreceipts")
        .attr("value", "none");
    let privacy = NodeBuilder::new("privacy").children([category.build()]).build();
    his.client.ask("set", "privacy", Some(privacy)).await;
    let id = pair.say("seen?").await;
    pair.seen(|message| message.id == id).await;
    pair.sandbox.mark_read(&pair.bob, &pair.alice).await.unwrap();
    // A second message shows that the receipt of the first would have come by now.
    let later = pair.say("and now?").await;
    let ticked = |message: &Message| message.id == later && message.status == MessageStatus::Delivered;
    pair.sandbox
        .wait_for_message(&pair.alice, ticked, PATIENCE)
        .await
        .unwrap();
    let first = |message: &Message| message.id == id;
    let first = pair
        .sandbox
        .wait_for_message(&pair.alice, first, PATIENCE)
        .await
        .unwrap();
    assert_eq!(first.status, MessageStatus::Delivered);
}
