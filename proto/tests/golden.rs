//! Golden bytes: every message of every released version stays readable, and this build still writes version 1 as it did.
//!
//! `ATELIER_BLESS=1 cargo test -p atelier-proto --test golden` writes the files of messages that have none yet; it never changes one.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is how a test fails")]

mod samples;

use std::{fs, path::PathBuf};

use atelier_proto::{decode, encode};
use serde::{Serialize, de::DeserializeOwned};

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn check<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(name: &str, message: &T) {
    let path =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("fixtures/v1/{name}.msgpack"));
    let bytes = encode(message, Some(TRACE));
    if !path.exists() && std::env::var_os("ATELIER_BLESS").is_some() {
        fs::write(&path, &bytes).unwrap();
    }
    let golden = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let read = decode::<T>(&golden)
        .unwrap_or_else(|error| panic!("{name} of version 1 is not readable: {error}"));
    assert_eq!(&read.body, message, "{name} reads differently");
    assert_eq!(read.trace.as_deref(), Some(TRACE));
    assert_eq!(golden, bytes, "{name} is written differently");
}

#[test]
fn offers() {
    for (name, offer) in samples::offers() {
        check(name, &offer);
    }
}

#[test]
fn reports_and_answers() {
    for (name, report) in samples::reports() {
        check(name, &report);
    }
    for (name, answer) in samples::answers() {
        check(name, &answer);
    }
    check("together_reports", &samples::reports_together());
    check("together_answers", &samples::answers_together());
}

#[test]
fn signals() {
    check("progress", &samples::progress());
    check("heartbeat", &samples::heartbeat());
    check("cancel", &samples::cancel());
    check("quarantine", &samples::quarantine());
}

#[test]
fn fields_that_came_later() {
    let (offer, report, progress, heartbeat) = samples::later_messages();
    check("offer_again", &offer);
    check("report_outage", &report);
    check("offer_plan_full", &samples::offer_plan_full());
    check("report_thought", &samples::report_thought());
    check("offer_render_kept", &samples::offer_render_kept());
    check("report_made", &samples::report_made());
    check("report_loaded", &samples::report_loaded());
    check("report_sources", &samples::report_sources());
    check("progress_begin", &progress);
    check("heartbeat_phases", &heartbeat);
}

#[test]
fn remedies() {
    let (offers, reports) = samples::remedies();
    for (name, offer) in offers {
        check(name, &offer);
    }
    for (name, report) in reports {
        check(name, &report);
    }
}

#[test]
fn plans_and_reviews_as_people_and_models_see_them() {
    for (name, text) in [
        (
            "plan",
            serde_json::to_string_pretty(&samples::plan()).unwrap(),
        ),
        (
            "review",
            serde_json::to_string_pretty(&samples::review()).unwrap(),
        ),
    ] {
        let path =
            PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("fixtures/v1/{name}.json"));
        if !path.exists() && std::env::var_os("ATELIER_BLESS").is_some() {
            fs::write(&path, text.clone() + "\n").unwrap();
        }
        assert_eq!(
            fs::read_to_string(&path).unwrap().trim_end(),
            text,
            "{name} is written differently"
        );
    }
    assert_eq!(samples::plan().validate(), Ok(()));
}
