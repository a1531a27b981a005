//! Everything that comes over NATS. Samples are the golden messages of version 1.

use atelier_proto::{
    decode, encode,
    job::JobOffer,
    report::{Report, ReportAnswer, ReportAnswers, Reports},
    signal::{Cancel, Heartbeat, Progress, Quarantine},
};
use atelier_worker::offer::{self, Offer};
use serde::{Serialize, de::DeserializeOwned};

use crate::target::{files, target};

const GOLDEN: &str = "proto/fixtures/v1";

/// Decodes a message; what was read is written and read again without another difference.
fn read<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Option<()> {
    let message = decode::<T>(bytes).ok()?;
    let written = encode(&message.body, message.trace.as_deref());
    // A message that was read may be longer once its defaults are written out.
    if let Ok(again) = decode::<T>(&written) {
        assert_eq!(encode(&again.body, again.trace.as_deref()), written);
    } else {
        assert!(written.len() > atelier_proto::envelope::MAX_BYTES);
    }
    Some(())
}

target!(job_offer, files(GOLDEN, "offer_"), read::<JobOffer>);
target!(report, files(GOLDEN, "report_"), read::<Report>);
target!(
    report_answer,
    files(GOLDEN, "answer_"),
    read::<ReportAnswer>
);
target!(
    reports_together,
    files(GOLDEN, "together_reports"),
    read::<Reports>
);
target!(
    answers_together,
    files(GOLDEN, "together_answers"),
    read::<ReportAnswers>
);
target!(progress, files(GOLDEN, "progress"), read::<Progress>);
target!(heartbeat, files(GOLDEN, "heartbeat"), read::<Heartbeat>);
target!(cancel, files(GOLDEN, "cancel"), read::<Cancel>);
target!(quarantine, files(GOLDEN, "quarantine"), read::<Quarantine>);

// The limits that a worker holds an offer to.
target!(
    offer_within_limits,
    files(GOLDEN, "offer_"),
    |bytes: &[u8]| {
        match offer::read(bytes) {
            Offer::Good(envelope) => {
                assert!(envelope.body.attempt >= 1);
                Some(())
            }
            Offer::Bad(_, reason) => {
                assert!(!reason.is_empty());
                None
            }
            Offer::Newer(_) | Offer::Malformed(_) => None,
        }
    }
);
