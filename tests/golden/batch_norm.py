"""Golden values of batch norm for tests/core/layers/batch_norm_test.cpp, made with PyTorch 2.15.0 (f32)."""
import torch

torch.set_printoptions(precision=9)


def show(name, tensor):
    values = tensor.detach().double().flatten().tolist()
    print(f"{name} = {{" + ", ".join(f"{v:.9g}" for v in values) + "};")


def values(count, scale, offset):
    """The same numbers as `wave` in the test."""
    return torch.tensor([((i * 37) % 101) / 50.0 * scale + offset for i in range(count)], dtype=torch.float32)


print(torch.__version__)
norm = torch.nn.BatchNorm2d(3)
with torch.no_grad():
    norm.weight.copy_(torch.tensor([0.5, 1.0, -1.5]))
    norm.bias.copy_(torch.tensor([0.25, -0.5, 0.125]))
dy = values(5 * 4 * 3, 1.0, -1.0).reshape(5, 2, 2, 3).permute(0, 3, 1, 2)
for step in range(3):
    x = values(5 * 4 * 3, 1.0 + step, -0.5 * step).reshape(5, 2, 2, 3).flip(0).permute(0, 3, 1, 2).detach().requires_grad_()
    norm.zero_grad()
    y = norm(x)
    y.backward(dy)
    if step == 0:
        show("y", y.permute(0, 2, 3, 1)[0])
        show("dx", x.grad.permute(0, 2, 3, 1)[0])
        show("dweight", norm.weight.grad)
        show("dbias", norm.bias.grad)
        residual = values(5 * 4 * 3, -1.0, 0.7).reshape(5, 2, 2, 3).permute(0, 3, 1, 2).detach().requires_grad_()
        fresh = torch.nn.BatchNorm2d(3)
        fresh.load_state_dict(norm.state_dict())
        x2 = x.detach().clone().requires_grad_()
        z = torch.relu(fresh(x2) + residual)
        z.backward(dy)
        show("fused y", z.permute(0, 2, 3, 1)[0])
        show("fused dx", x2.grad.permute(0, 2, 3, 1)[0])
        show("fused dresidual", residual.grad.permute(0, 2, 3, 1)[0])
        show("fused dweight", fresh.weight.grad)
        show("fused dbias", fresh.bias.grad)
    show(f"running_mean {step}", norm.running_mean)
    show(f"running_var {step}", norm.running_var)
norm.eval()
norm.zero_grad()
x = x.detach().requires_grad_()
y = norm(x)
y.backward(dy)
show("evaluated y", y.permute(0, 2, 3, 1)[0])
show("frozen dx", x.grad.permute(0, 2, 3, 1)[0])
show("frozen dweight", norm.weight.grad)
show("frozen dbias", norm.bias.grad)
