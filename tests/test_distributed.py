import pytest
import torch
from torch import nn

from groupvit import distributed
from groupvit.distributed import Ranks
from groupvit.errors import InputError
from groupvit.training import batch_norm
from groupvit.training.batch_norm import SyncedBatchNorm, synced
from tests.ranks import WORLD_SIZE

ROWS = (3, 5)
"""How many rows each rank has in a batch norm."""


def rows_of_all():
    return torch.randn(sum(ROWS), 4, generator=torch.Generator().manual_seed(0)).double() + 2


def norm_of(kind):
    """A batch norm with values of its own."""
    norm = kind(4, momentum=0.3).double()
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([1.0, 2.0, 0.5, -1.0]))
        norm.bias.copy_(torch.tensor([0.0, 1.0, -1.0, 0.5]))
    return norm


def weigh(normalized, rows):
    """A number whose gradient differs from row to row."""
    return (normalized.sin() * torch.linspace(1, 2, sum(ROWS)).double()[rows, None]).sum()


def gathered(ranks):
    """Two rows of each rank, gathered, and the gradient of a sum that differs between ranks."""
    x = (torch.arange(4.0).reshape(2, 2) + 10 * ranks.rank).requires_grad_()
    whole = ranks.gather(x)
    weight = torch.arange(8.0).reshape(4, 2) * (1 + ranks.rank)
    (whole * weight).sum().backward()
    return {"gathered": whole.detach(), "gather_gradient": x.grad}


def normed(ranks):
    """A synchronized norm: values, gradients and statistics."""
    rows = slice(0, ROWS[0]) if ranks.rank == 0 else slice(ROWS[0], None)
    x = rows_of_all()[rows].clone().requires_grad_()
    model = nn.Sequential(norm_of(nn.BatchNorm1d))
    names = list(model.state_dict())
    batch_norm.synchronize(model, ranks)
    assert isinstance(model[0], SyncedBatchNorm)
    assert list(model.state_dict()) == names
    value = model(x)
    weigh(value, rows).backward()
    found = {"value": value.detach(), "gradient": x.grad, "weight_gradient": model[0].weight.grad}
    return found | dict(model.named_buffers())


def reduced(ranks):
    """Sums, means and flags over ranks."""
    mine = torch.tensor([1.0, 4.0]) * (1 + ranks.rank)
    ranks.barrier()
    return {
        "sum": ranks.sum(mine),
        "mean": ranks.mean(mine),
        "mine": mine,
        "any": [ranks.any(flag) for flag in (False, ranks.is_main, True)],
        "is_main": ranks.is_main,
    }


def on_each_rank(_folder):
    with distributed.session("cpu") as ranks:
        return gathered(ranks) | normed(ranks) | reduced(ranks)


@pytest.mark.slow
def test_gathering_joins_the_rows_in_the_order_of_ranks(both_ranks):
    rows = torch.arange(4.0).reshape(2, 2)
    for found in both_ranks:
        assert torch.equal(found["gathered"], torch.cat([rows, rows + 10]))


@pytest.mark.slow
def test_the_gradient_of_gathered_rows_is_what_all_ranks_want(both_ranks):
    wanted = 3 * torch.arange(8.0).reshape(4, 2)  # 1 + 2 times the weight
    assert torch.equal(torch.cat([found["gather_gradient"] for found in both_ranks]), wanted)


@pytest.mark.slow
def test_a_synchronized_norm_is_one_norm_of_all_rows(both_ranks):
    norm, x = norm_of(nn.BatchNorm1d), rows_of_all().requires_grad_()
    value = norm(x)
    weigh(value, slice(None)).backward()
    found = {key: torch.cat([one[key] for one in both_ranks]) for key in ("value", "gradient")}
    torch.testing.assert_close(found["value"], value)
    torch.testing.assert_close(found["gradient"], x.grad)
    torch.testing.assert_close(sum(one["weight_gradient"] for one in both_ranks), norm.weight.grad)
    for name, buffer in norm.named_buffers():
        for one in both_ranks:
            torch.testing.assert_close(one[f"0.{name}"], buffer)


@pytest.mark.slow
def test_ranks_add_and_average_and_leave_what_was_given(both_ranks):
    for rank, found in enumerate(both_ranks):
        assert found["sum"].tolist() == [3.0, 12.0]
        assert found["mean"].tolist() == [1.5, 6.0]
        assert found["mine"].tolist() == [1.0 + rank, 4.0 + 4 * rank]


@pytest.mark.slow
def test_a_flag_on_any_rank_is_seen_by_all(both_ranks):
    assert [found["any"] for found in both_ranks] == [[False, True, True]] * WORLD_SIZE
    assert [found["is_main"] for found in both_ranks] == [True, False]


def test_one_process_needs_no_others():
    with distributed.session("cpu") as ranks:
        assert ranks == Ranks()
        assert ranks.is_main
        assert not torch.distributed.is_initialized()
        x, module = torch.ones(2, 3), nn.Sequential(nn.BatchNorm1d(3))
        assert ranks.gather(x) is x
        assert ranks.wrap(module) is module
        batch_norm.synchronize(module, ranks)
        assert type(module[0]) is nn.BatchNorm1d
        assert torch.equal(ranks.mean(x), x)
        assert not ranks.any(False)
        ranks.barrier()


def test_a_synchronized_norm_shares_everything_with_the_plain_one(draw):
    norm = norm_of(nn.BatchNorm1d).eval()
    shared = synced(norm)
    assert shared.weight is norm.weight
    assert shared.running_var is norm.running_var
    assert not shared.training
    x = draw(5, 4).double()
    assert torch.equal(shared(x), norm(x))
    norm.float()
    assert shared.running_mean.dtype == torch.float32


@pytest.mark.parametrize("device", ["nonsense", "cuda"])
def test_a_device_that_is_not_here_is_refused(device):
    if device == "cuda" and torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(InputError, match="cannot be used here"), distributed.session(device):
        pass
