from pathlib import Path

import torch
from torch import distributed, multiprocessing, nn

from polyvec.ranks import average_gradients, first_rank_first, rank, ranks


def test_alone_there_is_one_rank_and_gradients_stay():
    layer = nn.Linear(1, 1, bias=False)
    layer.weight.grad = torch.tensor([[3.0]])
    average_gradients(layer)
    with first_rank_first():
        assert (rank(), ranks()) == (0, 1)
    assert layer.weight.grad.item() == 3.0


def _work(number: int, folder: str) -> None:
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meeting", rank=number, world_size=2
    )
    layers = nn.ModuleList([nn.Linear(1, 1, bias=False), nn.Linear(1, 2, bias=False)])
    layers[0].weight.grad = torch.full((1, 1), float(number))
    if number == 1:
        layers[1].weight.grad = torch.tensor([[2.0], [4.0]])
    average_gradients(layers)
    assert layers[0].weight.grad.tolist() == [[0.5]]
    assert layers[1].weight.grad.tolist() == [[1.0], [2.0]]
    written = Path(folder, "written")
    with first_rank_first():
        if number == 0:
            written.write_text("by rank 0")
        assert written.read_text() == "by rank 0"
    Path(folder, f"done-{number}").touch()
    distributed.destroy_process_group()


def test_two_ranks_get_the_mean_also_of_weights_that_one_did_not_use(tmp_path):
    multiprocessing.spawn(_work, (str(tmp_path),), nprocs=2)
    assert (tmp_path / "done-0").exists()
    assert (tmp_path / "done-1").exists()
