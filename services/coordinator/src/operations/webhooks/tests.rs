use atelier_proto::{RequestId, http::RequestState};
use proptest::prelude::*;

use super::*;

const OPEN: Terms = Terms {
    to_private: true,
    attempts: 10,
};

fn order(url: &str, secret: Option<&str>) -> Result<WebhookOrder, Option<String>> {
    let webhook = Webhook {
        url: url.to_owned(),
        secret: secret.map(str::to_owned),
    };
    let terms = Terms {
        to_private: false,
        ..OPEN
    };
    check(webhook, terms).map_err(|error| match error {
        SubmitError::Invalid { field, .. } => Some(field),
        _ => None,
    })
}

#[test]
fn what_is_wrong_is_refused_by_name() {
    let url = Err(Some("webhook.url".to_owned()));
    let secret = Err(Some("webhook.secret".to_owned()));
    assert_eq!(order("nowhere", None), url);
    assert_eq!(order("http://example.com", None), url);
    assert_eq!(order("https://10.0.0.1/", None), url);
    let long = format!("https://example.com/{}", "x".repeat(MAX_URL_BYTES));
    assert_eq!(order(&long, None), url);
    let good = "https://example.com/";
    for wrong in [
        "",
        "whsec_",
        "whsec_!",
        "whsec_AAAA",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    ] {
        assert_eq!(order(good, Some(wrong)), secret, "{wrong}");
    }
    let long = format!("whsec_{}", BASE64_STANDARD.encode([7; 65]));
    assert_eq!(order(good, Some(&long)), secret);
    let own = format!("whsec_{}", BASE64_STANDARD.encode([7; 24]));
    assert_eq!(order(good, Some(&own)).unwrap().secret, Some(vec![7; 24]));
    assert_eq!(order(good, None).unwrap().secret, None);
}

#[test]
fn signatures_are_those_of_the_standard() {
    // Made with Python's hmac and base64 modules.
    let body = br#"{"test": 2432232314}"#;
    let secret = BASE64_STANDARD
        .decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
        .unwrap();
    assert_eq!(
        sign::signature("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body, &secret),
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    );
}

#[test]
fn what_is_not_taken_comes_again_until_it_is_given_up() {
    let taken = judged(Ok(204), 1, 10);
    assert_eq!((taken.state, taken.error), (WebhookState::Delivered, None));
    for answer in [Ok(500), Ok(302), Ok(404), Err("nobody".to_owned())] {
        let tried = judged(answer.clone(), 1, 10);
        assert_eq!(tried.state, WebhookState::Waiting, "{answer:?}");
        assert!((5_000..=6_000).contains(&tried.wait_ms));
        assert_eq!(judged(answer, 10, 10).state, WebhookState::Dead);
    }
    assert_eq!(judged(Ok(410), 1, 10).state, WebhookState::Dead);
}

#[test]
fn a_message_is_small_and_says_where_to_look() {
    let due = DueWebhook {
        request: RequestId::at(1, [1; 10]),
        tenant: TenantId::at(1, [2; 10]),
        order: order("https://example.com", None).unwrap(),
        attempt: 1,
        state: RequestState::Failed,
        reason: Some("ä".repeat(10_000)),
        has_image: false,
        ended_ms: 1_700_000_000_123,
    };
    let message = message(&due, Some("https://farm.example/"));
    assert_eq!(message.kind, "request.failed");
    assert_eq!(message.created_at, 1_700_000_000);
    assert_eq!(message.data.image, None);
    assert!(
        message
            .data
            .trace
            .starts_with("https://farm.example/v1/requests/")
    );
    assert!(serde_json::to_vec(&message).unwrap().len() < 4_000);
}

proptest! {
    #[test]
    fn waits_grow_and_stay_below_thirty_hours(attempt in any::<u32>(), chance in any::<u16>()) {
        let wait = wait_ms(attempt, chance);
        prop_assert!((5_000..=30 * 3_600_000).contains(&wait));
        prop_assert!(wait_ms(attempt.saturating_add(1), 0) >= wait_ms(attempt, 0));
    }
}
