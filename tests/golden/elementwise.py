"""Prints the golden values of tanh_test.cpp, sigmoid_test.cpp and relu_test.cpp (PyTorch 2.15.0, in f64)."""
import torch

x = torch.tensor([-100, -20, -9.5, -3, -0.7, -0.624, -0.01, -1e-6, 0, 1e-6, 0.2, 0.626, 1.5, 8.75, 30, 100], dtype=torch.float32).double()
print(torch.__version__)
for function in (torch.tanh, torch.sigmoid, torch.relu):
    value = x.clone().requires_grad_()
    y = function(value)
    y.sum().backward()
    print(function.__name__)
    print("y", ", ".join(f"{v:.12g}" for v in y.tolist()))
    print("dx", ", ".join(f"{v:.12g}" for v in value.grad.tolist()))
