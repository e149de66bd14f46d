"""Wrong answers to the exercises of chapter 1, each with a piece of what the check must say."""

import copy

import torch


def children_first(module, prefix=""):
    found = {}
    for name, child in module._modules.items():
        if child is not None:
            found |= children_first(child, prefix + name + ".")
    found |= {prefix + name: p.detach() for name, p in module._parameters.items() if p is not None}
    kept = module._buffers.keys() - module._non_persistent_buffers_set
    return found | {
        prefix + name: b for name, b in module._buffers.items() if name in kept and b is not None
    }


def only_iterators(module, prefix=""):
    found = {prefix + name: param.detach() for name, param in module.named_parameters()}
    return found | {prefix + name: buffer for name, buffer in module.named_buffers()}


def only_parameters(model):
    return {name: param.detach().clone() for name, param in model.named_parameters()}


def eval_only(model, x):
    model.eval()
    return model(x)


def no_grad_only(model, x):
    with torch.no_grad():
        return model(x)


def stays_in_eval(model, x):
    with torch.no_grad():
        return model.eval()(x)


def unwrap_in_place(state):
    for key in list(state):
        state[key.removeprefix("module.")] = state.pop(key)
    return state


WRONG = [
    ("save_weights/collect", children_first, "only then come its children"),
    ("save_weights/collect", only_iterators, "then its buffers, and only then"),
    ("save_weights/collect", lambda m: copy.deepcopy(m.state_dict()), "shares the memory"),
    ("save_weights/collect", lambda m: m.state_dict(keep_vars=True), "still requires grad"),
    ("save_weights/collect", lambda m: list(m.state_dict()), "not a dictionary"),
    ("save_weights/keys", ["head.weight", "scale", "gain"], "only then come its children"),
    ("save_weights/keys", ["gain", "scale", "mask", "head.weight"], "persistent=False"),
    ("save_weights/keys", ["gain", "scale", "head.weight", "head.bias"], "is None"),
    ("save_weights/keys", ["gain", "scale", "head.weight", "drop.p"], "Dropout holds no tensors"),
    ("save_weights/keys", ["gain", "head.weight"], "only then come its children"),
    ("save_weights/keys", 3, "raised TypeError"),
    ("save_weights/snapshot", lambda m: m.state_dict(), "holds the same tensors"),
    ("save_weights/snapshot", lambda m: m.state_dict().copy(), "holds the same tensors"),
    ("save_weights/snapshot", only_parameters, "no optimizer trains it"),
    (
        "save_weights/unwrap",
        lambda state: {key.replace("module.", ""): value for key, value in state.items()},
        "replace() also takes out",
    ),
    (
        "save_weights/unwrap",
        lambda state: {key[len("module.") :]: value for key, value in state.items()},
        "never wrapped",
    ),
    ("save_weights/unwrap", unwrap_in_place, "changed the dictionary"),
    ("save_weights/predict", eval_only, "eval() does not stop autograd"),
    ("save_weights/predict", no_grad_only, "no_grad() does not stop dropout"),
    ("save_weights/predict", stays_in_eval, "put the mode back"),
]
