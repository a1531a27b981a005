use atelier_proto::{
    ArtifactRef, MediaType,
    job::NamedReference,
    plan::{Relation, Stage, StageOp},
    report::{Cited, Thought, UsedReference},
    trace::{Revision, TraceJob},
};
use proptest::prelude::*;

use super::*;
use crate::sample::{self, PICTURE};

/// The start of a PNG of 64 x 32 pixels: signature, length and name of the first chunk, width, height.
fn png() -> Vec<u8> {
    let mut file = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec();
    file.extend([0, 0, 0, 64, 0, 0, 0, 32]);
    file
}

fn pictures() -> Pictures {
    Pictures::from([(PICTURE, png())])
}

#[test]
fn it_shows_the_picture_with_boxes_the_checks_the_times_and_the_cost() {
    let page = page(&sample::trace(), &pictures());
    for part in [
        "<h1>a cat</h1>",
        "Succeeded after 1 round: the rounds were used up",
        "src=\"data:image/png;base64,iVBORw0KGgo",
        "viewBox=\"0 0 64 32\"",
        // Wanted at x 25-60 %, found at x 0-50 %.
        "x=\"16.00\" y=\"9.60\" width=\"22.40\"",
        "x=\"0.00\" y=\"0.00\" width=\"32.00\"",
        ">orange cat</text>",
        "<span aria-hidden=\"true\">\u{2717}</span> no</td><td>Is there exactly one cat?</td><td>2 cats</td><td>90 %</td>",
        "<a href=\"#result\">result</a>",
        "class=\"running render\"",
        "<th scope=\"row\">Drawing</th><td>1.39 s</td><td>89 %</td>",
        "&quot;caption&quot;: &quot;a cat&quot;",
    ] {
        assert!(page.contains(part), "{part:?} is not in\n{page}");
    }
}

#[test]
fn a_picture_that_is_gone_is_told_to_be() {
    let page = page(&sample::trace(), &Pictures::new());
    assert!(page.contains("is not on this page"));
    assert!(!page.contains("<img"));
}

#[test]
fn it_is_one_file_without_scripts_that_asks_nobody() {
    let page = page(&sample::trace(), &pictures());
    for other in [
        "<script", "http://", "https://", "url(", "<link", "<iframe", "@import",
    ] {
        assert!(!page.contains(other), "{other}");
    }
    assert!(page.contains("default-src 'none'"));
    balanced(&page);
}

#[test]
fn every_picture_has_words_and_every_table_headings() {
    let page = page(&sample::trace(), &pictures());
    assert_eq!(
        page.matches("<img ").count(),
        page.matches(" alt=\"").count()
    );
    assert_eq!(
        page.matches("<table").count(),
        page.matches("<thead>").count()
    );
    assert!(page.contains("<html lang=\"en\">"));
    // What is told with colours is told with words, too; drawings beside such words are not read out.
    assert!(page.contains("aria-label=\"One bar a job"));
}

#[test]
fn a_check_is_told_with_the_plan_of_its_round() {
    let mut trace = sample::trace();
    let artifact = |byte| ArtifactRef {
        sha256: Sha256([byte; 32]),
        bytes: 1,
        media_type: MediaType::Json,
    };
    let mut first = trace.plan.clone().unwrap();
    first.checks.clear();
    first.caption = "the first plan".into();
    trace.earlier_plans.push(Revision {
        round: 1,
        artifact: artifact(1),
        plan: Some(first),
        thought: None,
    });
    trace.jobs[0].artifact = Some(artifact(1));
    trace.plan_artifact = Some(artifact(2));
    let page = page(&trace, &pictures());
    assert!(
        page.contains("<td>k1</td>"),
        "the first plan has no such check"
    );
    assert!(page.contains("The plan of round 1, which another one took the place of"));
}

/// Every element is closed in order, and quotes end where they should.
fn balanced(page: &str) {
    const VOID: [&str; 4] = ["meta", "img", "input", "!doctype"];
    let mut open: Vec<&str> = Vec::new();
    let mut rest = page;
    while let Some(start) = rest.find('<') {
        let end = start + rest[start..].find('>').expect("a tag ends");
        let tag = &rest[start + 1..end];
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
        assert!(!tag.contains('<'), "{tag}");
        rest = &rest[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name));
            continue;
        }
        let name = tag.split([' ', '/']).next().unwrap_or_default();
        if !VOID.contains(&name) && !tag.ends_with('/') {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "{open:?}");
}

/// A trace in which everything that comes from outside says `text`.
fn hostile(text: &str) -> Trace {
    let mut trace = sample::trace();
    let word = || text.to_owned();
    trace.submitted.prompt = word();
    trace.model = word();
    trace.created_at = word();
    trace.finished_at = Some(word());
    trace.reason = Some(word());
    trace.pictures = vec![NamedReference {
        name: word(),
        picture: trace.image.unwrap(),
    }];
    trace.thought = Some(Thought {
        text: word(),
        notes: vec![word()],
        reasoning: word(),
        evidence: vec![Cited {
            what: word(),
            words: word(),
            at: 0,
        }],
        ..Thought::default()
    });
    let plan = trace.plan.as_mut().unwrap();
    plan.caption = word();
    plan.background = word();
    plan.relations.push(Relation {
        subject: word(),
        predicate: atelier_proto::plan::Predicate::On,
        object: word(),
    });
    plan.stages.push(Stage {
        id: word(),
        op: StageOp::Edit {
            input: word(),
            instruction: word(),
            strength: 0.5,
        },
    });
    let element = &mut plan.elements[0];
    (element.id, element.noun) = (word(), word());
    element.attributes = vec![word()];
    element.reference = Some(word());
    for job in &mut trace.jobs {
        hostile_job(job, text);
    }
    trace
}

fn hostile_job(job: &mut TraceJob, text: &str) {
    let word = || text.to_owned();
    job.stage = Some(word());
    job.op = Some(word());
    job.state = word();
    job.reason = Some(word());
    job.worker = Some(word());
    job.references = vec![UsedReference {
        element: word(),
        reference: word(),
        sha256: PICTURE,
    }];
    if let Some(made) = &mut job.made {
        (made.worker, made.device, made.version) = (word(), word(), word());
    }
    if let Some(review) = &mut job.review {
        review.verdicts[0].check = word();
        review.verdicts[0].found = word();
        review.seen[0].name = word();
        review.seen[0].color = Some(word());
    }
}

#[test]
fn a_prompt_is_never_markup() {
    for text in [
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "' onmouseover='alert(1)",
        "</style></title></pre></svg><svg onload=alert(1)>",
        "<!--",
        "]]>&#60;script&#62;",
        "javascript:alert(1)",
        "\u{0}\u{1b}[2J\u{202e}evil",
    ] {
        let page = page(&hostile(text), &pictures());
        balanced(&page);
        for bad in [
            "<script",
            "<img src=x",
            "<svg onload",
            "<!--",
            "\u{0}",
            "\u{1b}",
            "\u{202e}",
        ] {
            assert!(!page.contains(bad), "{bad:?} of {text:?}");
        }
    }
}

proptest! {
    #[test]
    fn no_words_break_the_page(text in "[<>&\"'/a =!-]{0,30}|\\PC{0,30}") {
        balanced(&page(&hostile(&text), &pictures()));
    }
}
