use super::*;

const PROGRAM: Program = Program {
    name: "atelier-test",
    version: "0.0.0",
    instance: None,
};

fn span() -> Span {
    let at = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        .parse()
        .unwrap();
    let now = SystemClock.now();
    Span::new(at, SpanKind::Internal, "work", (now, now))
}

/// How many spans had this outcome.
fn counted(registry: &Metrics, outcome: &str) -> usize {
    let start = format!("atelier_spans_total{{outcome=\"{outcome}\"}} ");
    let text = registry.render();
    let mut lines = text.lines().filter_map(|line| line.strip_prefix(&start));
    lines.next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn without_a_receiver_nothing_is_wanted_and_nothing_counted() {
    for endpoint in [None, Some("")] {
        let registry = Metrics::default();
        let spans = Spans::open(endpoint, PROGRAM, &registry).unwrap();
        assert!(!spans.want(span().at));
        spans.record(span());
        spans.close(Duration::from_secs(60)).await;
        for outcome in ["exported", "dropped", "failed"] {
            assert_eq!(counted(&registry, outcome), 0);
        }
    }
}

#[tokio::test]
async fn an_address_that_is_none_is_refused() {
    for endpoint in ["collector:4318", "ftp://collector", "http://", "https:///"] {
        let opened = Spans::open(Some(endpoint), PROGRAM, &Metrics::default());
        let error = opened.map(|_| ()).unwrap_err();
        assert!(error.to_string().contains(endpoint), "{error}");
    }
}

/// Nothing runs between the records, so that the queue fills up to the last place.
#[tokio::test]
async fn what_the_queue_does_not_hold_is_dropped_and_counted_and_nobody_waits() {
    // A receiver that takes the connection and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    let registry = Metrics::default();
    let spans = Spans::open(Some(&endpoint), PROGRAM, &registry).unwrap();
    assert!(spans.want(span().at));
    for _ in 0..MOST_WAITING + 7 {
        spans.record(span());
    }
    assert_eq!(counted(&registry, "dropped"), 7);
    // Nor does the end of the process wait for it.
    spans.close(Duration::from_millis(50)).await;
    assert_eq!(counted(&registry, "exported"), 0);
    spans.record(span());
    assert_eq!(counted(&registry, "dropped"), 8);
}

#[test]
fn unsampled_traces_are_nobodys() {
    let unsampled = span().at.to_string().replace("-01", "-00");
    let at: TraceContext = unsampled.parse().unwrap();
    assert!(!Spans::default().want(at) && !at.is_sampled());
}

#[test]
fn moments_keep_their_order_and_are_times_of_day() {
    let first = Instant::now();
    let second = first + Duration::from_micros(3);
    let moments = Moments::now();
    assert!(moments.time(first) <= moments.time(second));
    let now = SystemClock.now();
    assert!(moments.time(first) <= now && now < moments.time(first) + Duration::from_secs(60));
}
