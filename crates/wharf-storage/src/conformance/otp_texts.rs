//! The promises of texts that workspaces wrote themselves.

use std::time::Duration;

use wharf_model::WorkspaceId;

use super::Subject;
use crate::driver::value::params;
use crate::otp_texts::{self, NewOtpText};

const MOST: u32 = 3;

/// Saves a text; says whether there was room.
async fn save(subject: &Subject, workspace: WorkspaceId, (template, locale): (&str, &str), body: &str) -> bool {
    let keys = subject.storage.workspace_keys(workspace).await.unwrap();
    let new = NewOtpText {
        workspace_id: workspace,
        template: template.to_owned(),
        locale: locale.to_owned(),
        body: otp_texts::seal(&keys, template, locale, body).unwrap(),
        at: subject.now(),
    };
    subject
        .write(move |tx| Box::pin(async move { otp_texts::save(tx, &new, MOST).await }))
        .await
}

/// What a workspace has: name, language and words.
async fn texts(subject: &Subject, workspace: WorkspaceId) -> Vec<(String, String, String)> {
    let keys = subject.storage.workspace_keys(workspace).await.unwrap();
    let found = subject.read(move |tx| Box::pin(otp_texts::list(tx, workspace))).await;
    let open = found.into_iter().map(|text| {
        let body = text.open(&keys).unwrap();
        (text.template, text.locale, body)
    });
    open.collect()
}

fn words(texts: &[(&str, &str, &str)]) -> Vec<(String, String, String)> {
    let owned = |(template, locale, body): &(&str, &str, &str)| {
        ((*template).to_owned(), (*locale).to_owned(), (*body).to_owned())
    };
    texts.iter().map(owned).collect()
}

/// By name and language; saved again, it says something else.
pub async fn a_text_reads_back_and_is_replaced(subject: &Subject) {
    let workspace = subject.workspace;
    assert!(texts(subject, workspace).await.is_empty());
    for (name, body) in [
        (("login", "en"), "one"),
        (("default", "pt-BR"), "two"),
        (("default", "es"), "three"),
    ] {
        assert!(save(subject, workspace, name, body).await);
    }
    let before = words(&[
        ("default", "es", "three"),
        ("default", "pt-BR", "two"),
        ("login", "en", "one"),
    ]);
    assert_eq!(texts(subject, workspace).await, before);
    subject.clock.advance(Duration::from_secs(1));
    assert!(
        save(subject, workspace, ("login", "en"), "four").await,
        "it takes no more room"
    );
    let after = subject.read(move |tx| Box::pin(otp_texts::list(tx, workspace))).await;
    let changed: Vec<bool> = after.iter().map(|text| text.updated_at == subject.now()).collect();
    assert_eq!(changed, [false, false, true]);
    assert_eq!(texts(subject, workspace).await[2].2, "four");
}

/// Of as many that are saved at once as well.
pub async fn a_workspace_has_so_many_texts_and_no_more(subject: &Subject) {
    let locales = ["de", "en", "es", "fr", "pt", "ru", "tr"];
    let saves = locales.map(|locale| save(subject, subject.workspace, ("login", locale), locale));
    let saved = futures::future::join_all(saves).await;
    assert_eq!(saved.into_iter().filter(|saved| *saved).count(), 3);
    assert_eq!(texts(subject, subject.workspace).await.len(), 3);
    let other = subject.other_workspace().await;
    assert!(save(subject, other, ("login", "en"), "theirs").await);
}

/// It neither sees them nor takes them away; what is taken away is gone.
pub async fn texts_of_another_workspace_are_not_there(subject: &Subject) {
    let (workspace, other) = (subject.workspace, subject.other_workspace().await);
    assert!(save(subject, workspace, ("login", "en"), "ours").await);
    assert!(texts(subject, other).await.is_empty());
    let delete = async |of: WorkspaceId, locale: &'static str| {
        subject
            .write(move |tx| Box::pin(otp_texts::delete(tx, of, "login", locale)))
            .await
    };
    assert!(!delete(other, "en").await);
    assert!(!delete(workspace, "es").await);
    assert_eq!(texts(subject, workspace).await, words(&[("login", "en", "ours")]));
    assert!(delete(workspace, "en").await);
    assert!(!delete(workspace, "en").await);
    assert!(texts(subject, workspace).await.is_empty());
}

/// A body that was moved to another name or language says nothing there.
pub async fn a_text_opens_in_its_own_row_alone(subject: &Subject) {
    let workspace = subject.workspace;
    assert!(save(subject, workspace, ("login", "en"), "ours").await);
    subject
        .write(move |tx| {
            Box::pin(async move {
                let sql = "update otp_texts set locale = 'es' where workspace_id = $1 and template = 'login'";
                tx.execute(sql, params![&workspace]).await
            })
        })
        .await;
    let found = subject.read(move |tx| Box::pin(otp_texts::list(tx, workspace))).await;
    let keys = subject.workspace_keys().await;
    assert!(found[0].open(&keys).is_err());
}
