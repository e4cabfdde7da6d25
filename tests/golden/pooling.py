"""Prints the golden values of max_pool_test.cpp, average_pool_test.cpp and global_average_pool_test.cpp (PyTorch 2.15.0).

Every tensor of n elements in our layout (NHWC) is filled with ((i * 7 + shift) % 11 - 5) / 8, exact in f32; eleven values
in more elements give ties.
"""
import torch


def ramp(shape, shift):
    n = 1
    for extent in shape:
        n *= extent
    return torch.tensor([((i * 7 + shift) % 11 - 5) / 8 for i in range(n)]).reshape(shape)


def show(name, x):
    print(name, ", ".join(f"{v:.9g}" for v in x.flatten().tolist()))


def pool(title, shape, function):
    x = ramp(shape, 1).permute(0, 3, 1, 2).clone().requires_grad_()
    y = function(x)
    n, c, h, w = y.shape
    y.backward(ramp((n, h, w, c), 4).permute(0, 3, 1, 2))
    print(title)
    show("y", y.permute(0, 2, 3, 1))
    show("dx", x.grad.permute(0, 2, 3, 1))


f = torch.nn.functional
print(torch.__version__)
pool("max 2", (1, 5, 4, 2), lambda x: f.max_pool2d(x, 2))
pool("max 3 stride 2 same", (1, 5, 4, 2), lambda x: f.max_pool2d(x, 3, 2, 1))
pool("average [2, 3] stride [1, 2]", (1, 4, 5, 2), lambda x: f.avg_pool2d(x, (2, 3), (1, 2)))
pool("average 3 stride 2 same", (1, 5, 4, 2), lambda x: f.avg_pool2d(x, 3, 2, 1, count_include_pad=False))
pool("global average", (2, 3, 2, 2), lambda x: f.adaptive_avg_pool2d(x, 1))
flat = torch.full((1, 1, 4, 4), 2.0, requires_grad=True)
f.max_pool2d(flat, 3, 1, 1).sum().backward()
show("ties: max 3 stride 1 same, all equal, dx", flat.grad)
