//! Texts written side by side are those written alone.

use std::collections::HashMap;

use atelier_models::language::{
    Beginning, Guide, LanguageModel, Next, Sampler, Sampling, TextId, Until, Writer,
};

use super::{Subject, open};

/// A prompt with how its text is drawn, and after how many steps it joins.
struct Request {
    prompt: Vec<u32>,
    sampling: Sampling,
    seed: u64,
    most: usize,
    joins: usize,
}

fn requests(model: &LanguageModel) -> Vec<Request> {
    let warm = Sampling {
        temperature: 0.8,
        top_k: 40,
        top_p: 0.9,
    };
    let texts = [
        "system",
        "Return JSON. a photo of three red cats",
        "a",
        "a very long one: a photo of three red cats on a wet street in the city at night, and two dogs, and birds above the blue house",
        "no",
        "{\"count\": 12}",
        "system user",
    ];
    let request = |(index, text): (usize, &str)| Request {
        prompt: model.tokenizer.encode(text).unwrap(),
        sampling: if index % 2 == 0 {
            Sampling::GREEDY
        } else {
            warm
        },
        seed: index as u64,
        most: 5 + 9 * (index % 4),
        joins: [0, 0, 0, 3, 4, 9, 9][index],
    };
    texts.into_iter().enumerate().map(request).collect()
}

fn sampler(request: &Request) -> Sampler {
    Sampler::new(request.sampling, request.seed).unwrap()
}

#[test]
fn texts_join_and_leave_and_stay_what_they_are() {
    for name in ["qwen3", "qwen2", "llama"] {
        let model = open(&Subject::carried(name, name)).unwrap();
        let requests = requests(&model);
        let mut writer = Writer::new(&model.decoder, model.tokenizer.vocabulary());
        let mut ids: HashMap<TextId, usize> = HashMap::new();
        let mut written: HashMap<usize, Vec<u32>> = HashMap::new();
        let left = 1;
        for step in 0.. {
            for (index, request) in requests.iter().enumerate() {
                if request.joins == step {
                    let guide = Until::new(model.ends.clone(), request.most);
                    let id = writer.join(&request.prompt, None, sampler(request), guide);
                    ids.insert(id.unwrap(), index);
                }
            }
            if step == 6 {
                let id = *ids.iter().find(|(_, index)| **index == left).unwrap().0;
                let guide = writer.leave(id).unwrap();
                assert!(writer.leave(id).is_none());
                written.insert(left, guide.written().to_vec());
            }
            for ended in writer.step().unwrap() {
                assert!(!ended.cut);
                written.insert(ids[&ended.id], ended.guide.written().to_vec());
            }
            if step > 9 && writer.is_empty() {
                break;
            }
        }
        for (index, request) in requests.iter().enumerate() {
            let alone = model
                .write(&request.prompt, sampler(request), request.most, &mut |_| {
                    true
                })
                .unwrap();
            let together = &written[&index];
            if index == left {
                assert!(alone.starts_with(together) && together.len() == 6, "{name}");
            } else {
                assert_eq!(*together, alone, "{name}: text {index}");
            }
        }
    }
}

#[test]
fn a_beginning_is_read_once_and_changes_nothing() {
    let model = open(&Subject::carried("qwen3", "qwen3")).unwrap();
    let system = model
        .tokenizer
        .encode("<|im_start|>system\nReturn JSON.<|im_end|>\n");
    let system = system.unwrap();
    let beginning = Beginning::read(&model.decoder, &system).unwrap();
    let greedy = || Sampler::new(Sampling::GREEDY, 0).unwrap();
    let mut writer = Writer::new(&model.decoder, model.tokenizer.vocabulary());
    let mut prompts = Vec::new();
    for rest in ["cats", "a photo of three red cats on a wet street", ""] {
        let mut prompt = system.clone();
        prompt.extend(model.tokenizer.encode(rest).unwrap());
        prompts.push(prompt);
    }
    // One that begins otherwise.
    prompts.push(model.tokenizer.encode("cats").unwrap());
    for prompt in &prompts {
        let guide = Until::new(Vec::new(), 12);
        let _id = writer
            .join(prompt, Some(&beginning), greedy(), guide)
            .unwrap();
    }
    let mut ended = Vec::new();
    while !writer.is_empty() {
        ended.extend(writer.step().unwrap());
    }
    assert_eq!(ended.len(), prompts.len());
    for text in ended {
        let alone = prompts.iter().any(|prompt| {
            model.write(prompt, greedy(), 12, &mut |_| true).unwrap() == text.guide.written()
        });
        assert!(alone, "{:?}", text.guide.written());
    }
}

/// Writes what it is told to, with one choice of two tokens in between.
struct Told {
    steps: Vec<Next>,
    written: Vec<u32>,
}

impl Guide for Told {
    fn next(&mut self) -> Next {
        let next = self.steps.pop().unwrap_or(Next::End);
        if let Next::Given(tokens) = &next {
            self.written.extend(tokens);
        }
        next
    }

    fn wrote(&mut self, token: u32) {
        self.written.push(token);
    }
}

#[test]
fn given_tokens_are_read_in_one_pass_and_choices_are_kept_to() {
    let model = open(&Subject::carried("qwen3", "qwen3")).unwrap();
    let greedy = || Sampler::new(Sampling::GREEDY, 0).unwrap();
    let mut writer = Writer::new(&model.decoder, model.tokenizer.vocabulary());
    let told = |given: &[u32]| Told {
        steps: vec![
            Next::Free,
            Next::Given(given.to_vec()),
            Next::Among(vec![17, 300]),
            Next::Given(vec![9]),
            Next::Given(given.to_vec()),
        ],
        written: Vec::new(),
    };
    let given: [&[u32]; 3] = [&[5, 6, 7], &[8], &[1; 40]];
    for given in given {
        let _id = writer.join(&[3, 4], None, greedy(), told(given)).unwrap();
    }
    let mut ended = Vec::new();
    let mut passes = 0;
    while !writer.is_empty() {
        ended.extend(writer.step().unwrap());
        passes += 1;
    }
    // Two that draw, and one that finds nothing left.
    assert_eq!((passes, ended.len()), (3, 3));
    for text in ended {
        let written = text.guide.written;
        let given = given
            .iter()
            .find(|given| written.starts_with(given))
            .unwrap();
        let (before, rest) = written.split_at(given.len() + 1);
        assert_eq!(before.last(), Some(&9));
        assert!([17, 300].contains(&rest[0]) && &rest[1..=given.len()] == *given);
        let mut so_far = vec![3, 4];
        so_far.extend(&written[..written.len() - 1]);
        let next = model.write(&so_far, greedy(), 1, &mut |_| true).unwrap();
        assert_eq!(next, written[written.len() - 1..]);
    }
}

#[test]
fn a_text_that_is_as_long_as_the_model_reads_is_cut_and_the_others_go_on() {
    let model = open(&Subject::carried("qwen3", "qwen3")).unwrap();
    let context = model.decoder.config().context;
    let sampler = || Sampler::new(Sampling::GREEDY, 0).unwrap();
    let mut writer = Writer::new(&model.decoder, model.tokenizer.vocabulary());
    let until = || Until::new(Vec::new(), 20);
    let long = writer.join(&vec![7; context - 2], None, sampler(), until());
    let short = writer.join(&[7, 8], None, sampler(), until());
    let (long, short) = (long.unwrap(), short.unwrap());
    let mut ended = Vec::new();
    while !writer.is_empty() {
        ended.extend(writer.step().unwrap());
    }
    let of = |id| ended.iter().find(|text| text.id == id).unwrap();
    assert!(of(long).cut && of(long).guide.written().len() == 3);
    assert!(!of(short).cut && of(short).guide.written().len() == 20);
    let too_long = writer.join(&vec![7; context + 1], None, sampler(), until());
    assert!(too_long.is_err() && writer.is_empty());
    assert!(writer.join(&[], None, sampler(), until()).is_err());
}
