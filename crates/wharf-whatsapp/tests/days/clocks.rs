//! A machine that does not know what time it is.

use wharf_model::CloseReason;
use wharf_sandbox::Action;

use crate::day::Day;

const DAY: i64 = 24 * 60 * 60 * 1000;

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_a_day_ahead() {
    let day = Day::new().await;
    day.clock.jump(DAY);
    day.goes_on().await;
    day.strike(Action::DropConnection);
    day.clock.jump(DAY);
    day.loses(CloseReason::ServerRecycle).await;
    day.goes_on().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_put_back() {
    let mut day = Day::new().await;
    day.clock.jump(-DAY);
    day.goes_on().await;
    day.strike(Action::DropConnection);
    day.goes_on().await;
    day.clock.jump(-DAY);
    day.restart(std::time::Duration::ZERO).await;
    day.goes_on().await;
}
