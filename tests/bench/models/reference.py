"""The other side of bench-models: the same networks by diffusers with random weights, called when it is told to.

Reads one JSON object a line. A case {"name", "config", "device", "work", ..} is made and warmed up; then each line "go" is answered by the
milliseconds of one call. An empty line ends the case. Needs torch, diffusers, transformers, numpy; on a GPU it computes in bf16 with the attention
that diffusers and transformers choose by themselves. Language models are called without `generate`, which would add to every token.
"""
import json
import sys
import time

import torch

torch.set_grad_enabled(False)


def network(config):
    if "model_type" in config:
        return language_model(config)
    import diffusers

    config = dict(config)
    kind = getattr(diffusers, config.pop("_class_name"))
    return kind.from_config(config) if hasattr(kind, "from_config") else kind(**config)


def step(model, case, device, kind):
    rows, columns, references = case["rows"], case["columns"], case["references"]
    tokens = rows * columns
    if "dim" in case["config"]:
        x = [torch.randn(16, 1, 2 * rows, 2 * columns, device=device, dtype=kind)]
        caption = [torch.randn(case["text"], case["config"]["cap_feat_dim"], device=device, dtype=kind)]
        t = torch.tensor([0.3], device=device)
        return lambda: model(x, t, caption, return_dict=False)[0][0]
    grid = torch.cartesian_prod(torch.arange(1), torch.arange(rows), torch.arange(columns), torch.arange(1))
    ids = [grid]
    for i in range(references):
        shown = grid.clone()
        shown[:, 0] = 10 * (i + 1)
        ids.append(shown)
    length = torch.arange(case["text"])
    text_ids = torch.cartesian_prod(torch.arange(1), torch.arange(1), torch.arange(1), length)
    hidden = torch.randn(1, tokens * (1 + references), case["config"]["in_channels"], device=device, dtype=kind)
    text = torch.randn(1, case["text"], case["config"]["joint_attention_dim"], device=device, dtype=kind)
    arguments = dict(
        hidden_states=hidden, encoder_hidden_states=text, timestep=torch.tensor([0.7], device=device),
        img_ids=torch.cat(ids).to(device), txt_ids=text_ids.to(device), guidance=None, return_dict=False,
    )  # fmt: skip
    return lambda: model(**arguments)[0][:, :tokens]


def language_model(config):
    import transformers

    made = transformers.AutoConfig.for_model(**config)
    if config["model_type"] == "qwen3_vl":
        return transformers.Qwen3VLForConditionalGeneration(made)
    return transformers.AutoModelForCausalLM.from_config(made)


def write(model, case, device):
    """The likeliest tokens of some texts; what stands in front of a single one was read before."""
    from transformers import DynamicCache

    behind = case["behind"]
    ids = torch.randint(model.config.vocab_size, (case["texts"], behind + case["prompt"]), device=device)
    shared = DynamicCache(config=model.config)
    if behind:
        model(input_ids=ids[:, :behind], past_key_values=shared, logits_to_keep=1)

    def run():
        cache = shared if behind else DynamicCache(config=model.config)
        new, written = ids[:, behind:], []
        for _ in range(case["tokens"]):
            logits = model(input_ids=new, past_key_values=cache, logits_to_keep=1).logits
            new = logits[:, -1].argmax(-1, keepdim=True)
            written.append(new)
        if behind:
            cache.crop(behind - cache.get_seq_length())
        return torch.cat(written, 1).tolist()

    return run


def look(model, case, device, kind):
    """The picture is read once, its keys and values are repeated, and all questions are read behind them at once."""
    from transformers import DynamicCache

    vision, told = model.config.vision_config, case["told"]
    side = case["side"] // vision.patch_size
    grid = torch.tensor([[1, side, side]], device=device)
    numbers = vision.in_channels * vision.temporal_patch_size * vision.patch_size**2
    pixels = torch.randn(side * side, numbers, device=device, dtype=kind)
    before = torch.tensor([told["before"]], device=device)
    kinds = (before == model.config.image_token_id).int()
    count, longest = len(told["after"]), max(map(len, told["after"]))
    after = torch.tensor([text + [0] * (longest - len(text)) for text in told["after"]], device=device)
    ends = torch.tensor([len(text) - 1 for text in told["after"]], device=device)

    def run():
        cache = DynamicCache(config=model.config.text_config)
        model.model(
            input_ids=before, pixel_values=pixels, image_grid_thw=grid, mm_token_type_ids=kinds, past_key_values=cache
        )  # fmt: skip
        cache.batch_repeat_interleave(count)
        place = torch.arange(longest, device=device) + before.shape[1] + model.model.rope_deltas
        states = model.model(input_ids=after, past_key_values=cache, position_ids=place.expand(3, count, -1))[0]
        logits = model.lm_head(states[torch.arange(count, device=device), ends])
        return logits.float().softmax(-1)[:, :8].sum(-1).tolist()

    return run


def picture(case, device, kind):
    """From a prompt to a picture by diffusers' own pipeline, with its text encoder."""
    import diffusers
    import numpy
    import PIL.Image
    import transformers

    told, side = case["told"], case["side"]
    parts = {name: made(config, device, kind) for name, config in case["config"].items()}
    pipeline = diffusers.Flux2KleinPipeline(
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True, shift=3.0),
        tokenizer=transformers.AutoTokenizer.from_pretrained(told["tokenizer"]), is_distilled=True, **parts,
    )  # fmt: skip
    pipeline.set_progress_bar_config(disable=True)
    arguments = dict(prompt=told["prompt"], width=side, height=side, num_inference_steps=case["steps"], guidance_scale=1.0)
    if case["edited"]:
        arguments["image"] = PIL.Image.fromarray(numpy.random.randint(0, 256, (side, side, 3), numpy.uint8))
    return lambda: pipeline(**arguments).images[0]


def made(config, device, kind):
    with torch.device(device):
        return network(config).to(device=device, dtype=kind).eval()


def call(case):
    device = case["device"]
    kind = torch.float32 if device == "cpu" else torch.bfloat16
    if case["work"] == "picture":
        return timed(picture(case, device, kind), device)
    model = made(case["config"], device, kind)
    if case["work"] == "step":
        run = step(model, case, device, kind)
    elif case["work"] == "write":
        run = write(model, case, device)
    elif case["work"] == "look":
        run = look(model, case, device, kind)
    elif case["work"] == "decode":
        z = torch.randn(1, model.config.latent_channels, case["side"] // 8, case["side"] // 8, device=device, dtype=kind)
        run = lambda: model.decode(z, return_dict=False)[0]
    else:
        x = torch.randn(1, 3, case["side"], case["side"], device=device, dtype=kind)
        run = lambda: model.encode(x).latent_dist.mode()
    return timed(run, device)


def timed(run, device):
    def once():
        start = time.perf_counter()
        run()
        if device != "cpu":
            torch.cuda.synchronize()
        return 1000 * (time.perf_counter() - start)

    return once


def say(value):
    print(json.dumps(value), flush=True)


def main():
    threads = int(sys.argv[1])
    torch.set_num_threads(threads)
    once = None
    for line in sys.stdin:
        line = line.strip()
        if line == "go":
            say(once())
        elif not line:
            once = None
        else:
            once = call(json.loads(line))
            once()
            say("ready")


main()
