//! The promises of a unit of work. Where a case needs units to wait behind each other, it holds every writer up (SQLite
//! has one, PostgreSQL as many as it has connections) with a unit that blocks its thread until it is let go.

use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use wharf_model::{EventKind, Lane};

use super::Subject;
use crate::driver::value::params;
use crate::{Queue, StorageError, Tx, messages};

async fn put_meta(tx: &mut Tx, key: &str) -> Result<(), StorageError> {
    tx.execute("insert into meta (key, value) values ($1, $2)", params![key, b"v"])
        .await
        .map(drop)
}

async fn has_meta(subject: &Subject, key: &'static str) -> bool {
    subject
        .read(move |tx| {
            Box::pin(async move {
                Ok(tx
                    .first("select 1 from meta where key = $1", params![key])
                    .await?
                    .is_some())
            })
        })
        .await
}

fn boom() -> Result<(), StorageError> {
    panic!("a unit that panics, as a case of the conformance suite");
}

/// Units that hold every writer until `release` is called or dropped.
struct Held(Vec<(mpsc::Sender<()>, Unit)>);

type Unit = tokio::task::JoinHandle<Result<(), StorageError>>;

impl Held {
    async fn hold(subject: &Subject) -> Self {
        let mut units = Vec::new();
        for _ in 0..subject.storage.writers() {
            let (release, wait) = mpsc::channel::<()>();
            let (running, started) = tokio::sync::oneshot::channel();
            let storage = subject.storage.clone();
            let unit = tokio::spawn(async move {
                storage
                    .write(Queue::Normal, move |_| {
                        let _ = running.send(());
                        // Elsewhere the thread is the writer's own; here the runtime is told that it is gone for a while.
                        let _ = tokio::task::block_in_place(|| wait.recv());
                        Box::pin(std::future::ready(Ok(())))
                    })
                    .await
            });
            started.await.unwrap();
            units.push((release, unit));
        }
        Self(units)
    }

    /// Gives one writer back.
    async fn release_one(&mut self) {
        let (release, unit) = self.0.pop().unwrap();
        drop(release);
        unit.await.unwrap().unwrap();
    }

    async fn release(self) {
        let (held, units): (Vec<_>, Vec<_>) = self.0.into_iter().unzip();
        drop(held);
        for unit in units {
            unit.await.unwrap().unwrap();
        }
    }
}

/// Waits until so many units are queued.
async fn queued(subject: &Subject, signal_state: usize, normal: usize) {
    loop {
        let depths = subject.storage.queue_depths();
        if (depths.signal_state, depths.normal) == (signal_state, normal) {
            return;
        }
        tokio::task::yield_now().await;
    }
}

/// All or nothing.
pub async fn a_unit_is_kept_whole_or_not_at_all(subject: &Subject) {
    let failed = subject
        .storage
        .write(Queue::Normal, |tx| {
            Box::pin(async move {
                put_meta(tx, "first").await?;
                put_meta(tx, "first").await
            })
        })
        .await;
    assert!(matches!(failed, Err(StorageError::Conflict { .. })), "{failed:?}");
    assert!(!has_meta(subject, "first").await);
    subject.write(|tx| Box::pin(put_meta(tx, "second"))).await;
    assert!(has_meta(subject, "second").await);
}

/// Also before it is committed.
pub async fn a_unit_reads_what_it_wrote(subject: &Subject) {
    let found = subject
        .write(|tx| {
            Box::pin(async move {
                put_meta(tx, "mine").await?;
                Ok(tx
                    .first("select 1 from meta where key = $1", params!["mine"])
                    .await?
                    .is_some())
            })
        })
        .await;
    assert!(found);
}

/// A unit has nothing to wait for but its transaction.
pub async fn a_unit_that_awaits_something_else_is_refused_and_rolled_back(subject: &Subject) {
    let refused = subject
        .storage
        .write(Queue::Normal, |tx| {
            Box::pin(async move {
                put_meta(tx, "pending").await?;
                tokio::task::yield_now().await;
                Ok(())
            })
        })
        .await;
    assert!(matches!(refused, Err(StorageError::AwaitedOutside)), "{refused:?}");
    assert!(!has_meta(subject, "pending").await);
}

/// Its neighbours in the same commit stand, and the writer lives.
pub async fn a_panic_takes_its_own_unit_and_no_other(subject: &Subject) {
    let held = Held::hold(subject).await;
    let spawn = |work: fn(&mut Tx) -> futures::future::BoxFuture<'_, Result<(), StorageError>>| {
        let storage = subject.storage.clone();
        tokio::spawn(async move { storage.write(Queue::Normal, work).await })
    };
    let before = spawn(|tx| Box::pin(put_meta(tx, "before")));
    queued(subject, 0, 1).await;
    let bad = spawn(|tx| {
        Box::pin(async move {
            put_meta(tx, "bad").await?;
            boom()
        })
    });
    queued(subject, 0, 2).await;
    let after = spawn(|tx| Box::pin(put_meta(tx, "after")));
    queued(subject, 0, 3).await;
    held.release().await;
    before.await.unwrap().unwrap();
    assert!(matches!(bad.await.unwrap(), Err(StorageError::UnitPanicked)));
    after.await.unwrap().unwrap();
    assert!(has_meta(subject, "before").await && has_meta(subject, "after").await);
    assert!(!has_meta(subject, "bad").await);
}

/// A caller's own reason to roll back is its own again.
pub async fn a_rejection_comes_back_as_it_was_given(subject: &Subject) {
    let rejected: Result<(), _> = subject
        .storage
        .write(Queue::Normal, |tx| {
            Box::pin(async move {
                put_meta(tx, "rejected").await?;
                Err(StorageError::rejected(std::fmt::Error))
            })
        })
        .await;
    assert_eq!(rejected.unwrap_err().rejection(), Some(&std::fmt::Error));
    assert!(!has_meta(subject, "rejected").await);
}

/// What was queued is done, whoever waits for it.
pub async fn a_caller_that_goes_away_does_not_cancel_its_queued_unit(subject: &Subject) {
    let held = Held::hold(subject).await;
    let storage = subject.storage.clone();
    let caller = tokio::spawn(async move {
        storage
            .write(Queue::Normal, |tx| Box::pin(put_meta(tx, "orphan")))
            .await
    });
    queued(subject, 0, 1).await;
    caller.abort();
    assert!(caller.await.unwrap_err().is_cancelled());
    held.release().await;
    // On PostgreSQL a unit that comes later may be done earlier, on a connection of its own.
    let done = async {
        while !has_meta(subject, "orphan").await {
            tokio::task::yield_now().await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(10), done).await.is_ok());
}

/// The engine waits for signal state with its session map locked.
pub async fn signal_state_is_served_before_what_waited_longer(subject: &Subject) {
    let mut held = Held::hold(subject).await;
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut tasks: Vec<tokio::task::JoinHandle<_>> = Vec::new();
    for (name, queue) in [("normal", Queue::Normal), ("signal", Queue::SignalState)] {
        let (storage, order) = (subject.storage.clone(), Arc::clone(&order));
        tasks.push(tokio::spawn(async move {
            storage
                .write(queue, move |_| {
                    order.lock().unwrap().push(name);
                    Box::pin(std::future::ready(Ok(())))
                })
                .await
        }));
        if tasks.len() == 1 {
            queued(subject, 0, 1).await;
        }
    }
    // The one writer is held, and the urgent one waits as well; a server keeps connections for its like.
    let kept = subject.storage.writers() > 1;
    while !tasks[1].is_finished() && (kept || subject.storage.queue_depths().signal_state != 1) {
        tokio::task::yield_now().await;
    }
    // One writer is free and both want it; the others stay held, so that nobody else can serve the second at once.
    held.release_one().await;
    while order.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    held.release().await;
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert_eq!(*order.lock().unwrap(), ["signal", "normal"]);
}

/// The type has no way to; should SQL try, the database refuses.
pub async fn a_read_cannot_write(subject: &Subject) {
    let refused = subject
        .storage
        .read(|tx| {
            Box::pin(async move {
                let sql = "insert into meta (key, value) values ('r', $1) returning key";
                tx.query(sql, params![b"v"]).await.map(drop)
            })
        })
        .await;
    assert!(matches!(refused, Err(StorageError::ReadOnly(_))), "{refused:?}");
    assert!(!has_meta(subject, "r").await);
}

/// What commits during a read is not in it.
pub async fn a_read_sees_one_moment(subject: &Subject) {
    let (read_once, first_read) = tokio::sync::oneshot::channel();
    let (go_on, wait) = mpsc::channel::<()>();
    let storage = subject.storage.clone();
    let reader = tokio::spawn(async move {
        storage
            .read(move |tx| {
                Box::pin(async move {
                    let count = "select count(*) from meta";
                    let before: i64 = tx.first(count, &[]).await?.unwrap().take()?;
                    let _ = read_once.send(());
                    let _ = tokio::task::block_in_place(|| wait.recv());
                    let after: i64 = tx.first(count, &[]).await?.unwrap().take()?;
                    Ok((before, after))
                })
            })
            .await
    });
    first_read.await.unwrap();
    subject.write(|tx| Box::pin(put_meta(tx, "meanwhile"))).await;
    drop(go_on);
    let (before, after) = reader.await.unwrap().unwrap();
    assert_eq!(before, after);
}

/// Wake-ups come after commits only.
pub async fn nobody_wakes_for_a_unit_that_was_rolled_back(subject: &Subject) {
    let (changes, mut nudges) = (subject.storage.changes(), subject.storage.outbound_nudges());
    let session = subject.session("s").await;
    let event = subject.event(EventKind::MessageQueued, b"{}").await;
    let message = subject.outbound(&session, Lane::Interactive, "a@s.whatsapp.net");
    let undone: Result<(), _> = subject
        .storage
        .write(Queue::Normal, move |tx| {
            Box::pin(async move {
                crate::events::append(tx, &event).await?;
                messages::insert_outbound(tx, &message).await?;
                Err(StorageError::NotFound("reason to go on"))
            })
        })
        .await;
    assert!(undone.is_err());
    // On a server whoever reads the log is also woken when a connection is made anew: there is nothing to read then.
    assert!(subject.storage.writers() > 1 || !changes.has_changed().unwrap());
    assert!(nudges.try_recv().is_err());
}

/// Too few would be null on SQLite, silently.
pub async fn a_wrong_number_of_parameters_is_refused(subject: &Subject) {
    let texts: [(&'static str, usize); 3] = [("select $1, $2", 2), ("select $1, $1", 1), ("select 1", 0)];
    for (sql, expected) in texts {
        let given = expected + 1;
        let refused = subject
            .storage
            .read(move |tx| {
                Box::pin(async move {
                    let values = vec![crate::driver::value::Param::Integer(1); given];
                    tx.query(sql, &values).await.map(drop)
                })
            })
            .await;
        let right = matches!(&refused, Err(StorageError::WrongParameterCount { expected: e, given: g }) if (*e, *g) == (expected, given));
        assert!(right, "{sql}: {refused:?}");
    }
    let missing = subject
        .storage
        .read(|tx| Box::pin(async move { tx.query("select $1, $3", params![1_i64, 2_i64]).await.map(drop) }))
        .await;
    assert!(
        matches!(missing, Err(StorageError::WrongParameterCount { .. })),
        "{missing:?}"
    );
}

/// `$2` is the second parameter wherever it stands.
pub async fn parameters_are_bound_by_number(subject: &Subject) {
    let read = subject
        .read(|tx| {
            Box::pin(async move {
                let mut row = tx.first("select $2, $1, $2", params!["one", "two"]).await?.unwrap();
                Ok([row.take::<String>()?, row.take()?, row.take()?])
            })
        })
        .await;
    assert_eq!(read, ["two", "one", "two"]);
}

/// Also to clones that did not close it.
pub async fn closed_storage_says_so(subject: &Subject) {
    subject.storage.clone().close().await;
    let write = subject
        .storage
        .write(Queue::Normal, |tx| Box::pin(put_meta(tx, "late")))
        .await;
    assert!(matches!(write, Err(StorageError::Closed)), "{write:?}");
    let read = subject.storage.read(|_| Box::pin(std::future::ready(Ok(())))).await;
    assert!(matches!(read, Err(StorageError::Closed)), "{read:?}");
}

/// Every acknowledged unit is there, every refused one is not.
pub async fn many_callers_lose_nothing(subject: &Subject) {
    let callers: Vec<_> = (0..400_i64)
        .map(|number| {
            let storage = subject.storage.clone();
            let queue = if number % 3 == 0 {
                Queue::SignalState
            } else {
                Queue::Normal
            };
            tokio::spawn(async move {
                let unit = storage.write(queue, move |tx| {
                    Box::pin(async move {
                        put_meta(tx, &format!("many {number}")).await?;
                        if number % 7 == 0 {
                            Err(StorageError::NotFound("number"))
                        } else {
                            Ok(())
                        }
                    })
                });
                unit.await.is_ok()
            })
        })
        .collect();
    let mut kept = 0_i64;
    for caller in callers {
        kept += i64::from(caller.await.unwrap());
    }
    let stored: i64 = subject
        .read(|tx| {
            Box::pin(async move {
                tx.first("select count(*) from meta where key like 'many %'", &[])
                    .await?
                    .unwrap()
                    .take()
            })
        })
        .await;
    assert_eq!((kept, stored), (342, 342));
}

/// Whoever asks only for that, hears as soon as what he wrote stands for later units.
pub async fn what_is_applied_is_seen_and_kept(subject: &Subject) {
    let applied = subject
        .storage
        .apply(Queue::Normal, |tx| Box::pin(put_meta(tx, "applied")));
    applied.await.unwrap();
    let seen = subject.storage.write(Queue::Normal, |tx| {
        Box::pin(async move {
            Ok(tx
                .first("select 1 from meta where key = 'applied'", &[])
                .await?
                .is_some())
        })
    });
    assert!(seen.await.unwrap());
    // The commit of the second unit came after that of the first.
    assert!(has_meta(subject, "applied").await);
    let failed = subject.storage.apply(Queue::Normal, |tx| {
        Box::pin(async move {
            put_meta(tx, "given up").await?;
            Err::<(), _>(StorageError::NotFound("thing"))
        })
    });
    assert!(matches!(failed.await, Err(StorageError::NotFound("thing"))));
    assert!(!has_meta(subject, "given up").await);
}

/// Nobody else may come for a long time.
pub async fn what_is_applied_is_committed_soon(subject: &Subject) {
    let applied = subject
        .storage
        .apply(Queue::Normal, |tx| Box::pin(put_meta(tx, "applied alone")));
    applied.await.unwrap();
    let seen = async {
        while !has_meta(subject, "applied alone").await {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), seen).await.unwrap();
}

/// A glance is a read: it sees what was committed, its faults are its own, and others can look after it.
pub async fn a_glance_reads_and_gives_its_place_back(subject: &Subject) {
    let put = subject
        .storage
        .write(Queue::Normal, |tx| Box::pin(put_meta(tx, "glanced at")));
    put.await.unwrap();
    let glances = (0..60).map(|number| {
        let storage = subject.storage.clone();
        tokio::spawn(async move {
            let glance = storage.glance(move |tx| {
                Box::pin(async move {
                    let row = tx.first("select 1 from meta where key = 'glanced at'", &[]).await?;
                    match number % 3 {
                        0 => boom()?,
                        1 => return Err(StorageError::NotFound("thing")),
                        _ => {}
                    }
                    Ok(row.is_some())
                })
            });
            (number, glance.await)
        })
    });
    for (number, found) in futures::future::join_all(glances).await.into_iter().map(Result::unwrap) {
        match number % 3 {
            0 => assert!(matches!(found, Err(StorageError::UnitPanicked)), "{found:?}"),
            1 => assert!(matches!(found, Err(StorageError::NotFound("thing"))), "{found:?}"),
            _ => assert!(found.unwrap()),
        }
    }
    let written = subject.storage.glance(|tx| {
        Box::pin(async move {
            tx.query("delete from meta where key = 'glanced at'", &[])
                .await
                .map(drop)
        })
    });
    assert!(written.await.is_err());
    let storage = subject.storage.clone();
    subject.storage.clone().close().await;
    let late = storage.glance(|tx| Box::pin(async move { tx.query("select 1", &[]).await.map(drop) }));
    assert!(matches!(late.await, Err(StorageError::Closed)));
}
