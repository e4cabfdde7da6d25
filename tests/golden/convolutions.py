"""Prints the golden values of conv2d_test.cpp and dense_test.cpp (PyTorch 2.15.0).

Every tensor of n elements in our layout (NHWC, OIHW) is filled with ((i * 7 + shift) % 11 - 5) / 8, exact in f32.
"""
import torch


def ramp(shape, shift):
    n = 1
    for extent in shape:
        n *= extent
    return torch.tensor([((i * 7 + shift) % 11 - 5) / 8 for i in range(n)]).reshape(shape)


def show(name, x):
    print(name, ", ".join(f"{v:.9g}" for v in x.flatten().tolist()))


def conv(n, h, w, c, out, k, stride, padding, groups):
    x = ramp((n, h, w, c), 1).permute(0, 3, 1, 2).clone().requires_grad_()
    weight = ramp((out, c // groups, *k), 2).requires_grad_()
    bias = ramp((out,), 3).requires_grad_()
    y = torch.nn.functional.conv2d(x, weight, bias, stride, padding, 1, groups)
    oh, ow = y.shape[2:]
    y.backward(ramp((n, oh, ow, out), 4).permute(0, 3, 1, 2))
    print("conv", (n, h, w, c), out, k, stride, padding, groups)
    show("y", y.permute(0, 2, 3, 1))
    show("dx", x.grad.permute(0, 2, 3, 1))
    show("dw", weight.grad)
    show("db", bias.grad)


def dense(n, c, out):
    x = ramp((n, c), 1).requires_grad_()
    weight = ramp((out, c), 2).requires_grad_()
    bias = ramp((out,), 3).requires_grad_()
    y = torch.nn.functional.linear(x, weight, bias)
    y.backward(ramp((n, out), 4))
    print("dense", (n, c), out)
    show("y", y)
    show("dx", x.grad)
    show("dw", weight.grad)
    show("db", bias.grad)


print(torch.__version__)
conv(2, 3, 4, 2, 2, (3, 3), (2, 2), (1, 1), 1)
conv(1, 3, 3, 4, 4, (2, 2), (1, 1), (0, 0), 2)
dense(2, 3, 2)
