use super::*;

fn messages(content: &str) -> Vec<Message> {
    vec![Message {
        role: "user",
        content: content.into(),
    }]
}

#[test]
fn a_dialog_becomes_text() {
    let template = ChatTemplate::new(
        "{% for message in messages %}\n{% if loop.first and message['role'] != 'system' %}{{ 'S\\n' }}{% endif %}\
         {{ '<' + message.role + '>' + message['content'] + '\\n' }}{% endfor %}\
         {% if add_generation_prompt %}{{ '<assistant>' }}{% if enable_thinking is defined and not enable_thinking %}-{% endif %}{% endif %}",
    )
    .unwrap();
    assert_eq!(
        template.render(&messages("a cat"), true).unwrap(),
        "S\n<user>a cat\n<assistant>-"
    );
    assert_eq!(
        template.render(&messages("a"), false).unwrap(),
        "S\n<user>a\n"
    );
}

#[test]
fn methods_of_python_are_known() {
    let text = "{% set ns = namespace(text=messages[0].content) %}{% if ns.text.startswith('<a>') and not ns.text.endswith('x') %}\
                {{ ns.text.split('</a>')[-1].lstrip('\\n') }}|{{ messages[::-1][0].content.strip() }}{% endif %}";
    let template = ChatTemplate::new(text).unwrap();
    assert_eq!(
        template.render(&messages("<a>b</a>\n c "), false).unwrap(),
        " c |<a>b</a>\n c"
    );
}

#[test]
fn what_goes_wrong_is_told_and_bounded() {
    assert!(ChatTemplate::new("{% for %}").is_err());
    assert!(ChatTemplate::new(&"x".repeat(MAX_TEMPLATE + 1)).is_err());
    let error = |text: &str| {
        ChatTemplate::new(text)
            .unwrap()
            .render(&messages("a"), true)
            .unwrap_err()
            .to_string()
    };
    assert!(
        error("{{ raise_exception('roles must alternate') }}").contains("roles must alternate")
    );
    assert!(error("{{ messages[0].content.explode() }}").contains("explode"));
    assert!(
        error("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}")
            .contains("fuel")
    );
    let long = "{% set ns = namespace(t='aaaaaaaaaaaaaaaa') %}{% for a in range(22) %}{{ ns.t * 100000 }}{% endfor %}";
    assert!(error(long).contains("more than"));
}
