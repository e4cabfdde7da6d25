"""Prints the golden values of sgd_test.cpp and adamw_test.cpp (PyTorch 2.15.0, in f64).

Five steps on four weights; rate and momentum change by the step. Weights, gradients, rates and momenta are f32 numbers.
"""
import torch


def f32(values):
    return torch.tensor(values, dtype=torch.float32).double()


START = f32([0.5, -1.25, 2.0, 0.0])
RATES = [0.1, 0.05, 0.2, 0.025, 0.1]
MOMENTA = [0.9, 0.8, 0.95, 0.85, 0.9]


def gradient(step):
    return f32([((i * 7 + step * 3) % 11 - 5) / 8 for i in range(4)])


def run(name, make, group_momentum):
    w = START.clone().requires_grad_()
    optimizer = make([w])
    for step in range(5):
        for group in optimizer.param_groups:
            group["lr"] = f32([RATES[step]]).item()
            group_momentum(group, f32([MOMENTA[step]]).item())
        w.grad = gradient(step)
        optimizer.step()
    print(name, ", ".join(f"{v:.10g}" for v in w.tolist()))


def momentum(group, value):
    group["momentum"] = value


def beta1(group, value):
    group["betas"] = (value, group["betas"][1])


sgd = torch.optim.SGD
print(torch.__version__)
run("plain", lambda p: sgd(p, lr=0.1, weight_decay=0.01), lambda group, value: None)
run("momentum", lambda p: sgd(p, lr=0.1, momentum=0.9, weight_decay=0.01), momentum)
run("dampening", lambda p: sgd(p, lr=0.1, momentum=0.9, dampening=0.3), momentum)
run("nesterov", lambda p: sgd(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01), momentum)
run("adamw", lambda p: torch.optim.AdamW(p, lr=0.1, weight_decay=0.05), beta1)
run("adamw without decay", lambda p: torch.optim.AdamW(p, lr=0.1, betas=(0.9, 0.99), eps=1e-3, weight_decay=0.0), beta1)
