"""Golden values for tests/core/losses, made with PyTorch 2.15.0 (f32)."""
import torch
from torch.nn.functional import cross_entropy, mse_loss


def show(name, tensor):
    print(f"{name} = {{" + ", ".join(f"{v:.9g}" for v in tensor.detach().double().flatten().tolist()) + "};")


print(torch.__version__)
logits = torch.tensor([[1.0, -2.0, 0.5, 3.0], [0.0, 0.0, 0.0, 0.0], [20.0, -30.0, 10.0, 19.5]])
labels = torch.tensor([2, 0, 3])
weights = torch.tensor([0.5, 2.0, 1.0])
for smoothing in (0.0, 0.1):
    z = logits.clone().requires_grad_()
    loss = cross_entropy(z, labels, label_smoothing=smoothing)
    loss.backward()
    show(f"loss {smoothing}", loss)
    show(f"gradient {smoothing}", z.grad)
    z = logits.clone().requires_grad_()
    loss = (cross_entropy(z, labels, label_smoothing=smoothing, reduction="none") * weights).sum() / weights.sum()
    loss.backward()
    show(f"weighted loss {smoothing}", loss)
    show(f"weighted gradient {smoothing}", z.grad)
p = torch.tensor([[1.0, -2.0], [0.5, 3.0], [0.25, 0.75]], requires_grad=True)
t = torch.tensor([[0.0, 1.0], [0.5, 2.0], [1.0, -1.0]])
loss = mse_loss(p, t)
loss.backward()
show("mse", loss)
show("mse gradient", p.grad)
