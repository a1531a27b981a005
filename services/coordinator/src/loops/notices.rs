//! Notices: what other coordinators committed, by LISTEN. Everything that they say is found without them too, only later.

use atelier_platform::Pulse;
use atelier_proto::job::JobKind;
use tokio_util::sync::CancellationToken;

use super::{AFTER_ERROR, LONGEST_TURN, pause};
use crate::{
    farm::Farm,
    store::{Notice, StoreError},
};

/// Runs until `stop`.
pub async fn run(farm: Farm, stop: CancellationToken) {
    let pulse = farm.pulses.watch("notices", LONGEST_TURN);
    while !stop.is_cancelled() {
        let ended = tokio::select! {
            () = stop.cancelled() => return,
            ended = listen(&farm, &pulse) => ended,
        };
        if let Err(error) = ended {
            tracing::warn!(%error, "notices");
            pause(&stop, AFTER_ERROR).await;
        }
    }
}

async fn listen(farm: &Farm, pulse: &Pulse) -> Result<(), StoreError> {
    pulse.beat();
    let mut notices = farm.store.listen().await?;
    // Whatever was told before the listener stood was missed.
    let mut notice = Notice::Missed;
    loop {
        match notice {
            Notice::Missed => {
                farm.store.look_for_others().await?;
                farm.pass.wait(JobKind::ALL);
                farm.ready.notify_one();
                farm.changes.all_changed();
            }
            Notice::Joined => farm.store.look_for_others().await?,
            Notice::Ready => {
                farm.pass.wait(JobKind::ALL);
                farm.ready.notify_one();
            }
            Notice::Changed(requests) => {
                requests.into_iter().for_each(|id| farm.changes.changed(id));
            }
        }
        notice = pulse.idle(notices.next()).await?;
    }
}
