"""Distillation: what is folded, what is measured, and that training resumes where it was left."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from toolkit.cli import main
from toolkit.data.sources import list_images
from toolkit.data.stream import ImageStream
from toolkit.distill import Distillation, Schedule, Student
from toolkit.distill.student import variances
from toolkit.errors import ToolkitError
from toolkit.network import Architecture, load_network, save_network
from toolkit.normalize import Job, normalize

SCHEDULE = Schedule(steps=12, batch_size=4, size=32, warmup=2, dream_every=4, dream_pool=8)
NARROW = Architecture("vgg11", (2, 3, 3, 4, 4))


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    (tmp_path / "images").mkdir()
    for number in range(6):
        picture = Image.fromarray(rng.integers(0, 256, (7, 9, 3), np.uint8)).resize((90, 70), Image.Resampling.BICUBIC)
        picture.save(tmp_path / "images" / f"{number}.png")
    return tmp_path / "images"


@pytest.fixture
def teacher(tiny_network, folder, random_image):
    job = Job(ImageStream(list_images(folder), "native"))
    (result,), _ = normalize([tiny_network("vgg11", widths=(6,) * 5)], job, [random_image()])
    return result.network


@pytest.fixture(autouse=True)
def uncompiled(monkeypatch):
    """Compiling takes longer than all these tests, and changes no result."""
    monkeypatch.setattr(torch, "compile", lambda function: function)


def train(teacher, folder, steps=None, schedule=SCHEDULE, **options):
    torch.manual_seed(0)
    distillation = Distillation(
        Student(NARROW, teacher.architecture), teacher, list_images(folder), schedule, **options
    )
    shown = []
    for step in distillation:
        shown.append(step)
        if step.number == steps:
            distillation.save()
            break
    return distillation, shown


def test_a_folded_student_computes_what_it_computed_in_evaluation(teacher, folder, random_image):
    student = train(teacher, folder)[0].student.eval()
    network = student.fold({"a": 1})
    image = random_image(37, 52)
    with torch.no_grad():
        expected = dict(student(image))
    found = network(image, [name.replace("conv", "relu") for name in expected])
    for name, features in expected.items():
        torch.testing.assert_close(found[name.replace("conv", "relu")], features, rtol=1e-4, atol=1e-5)
    assert network.pooling == "average" and network.provenance == {"a": 1}


def test_training_explains_more_and_more(teacher, folder, random_image):
    longer = Schedule(steps=200, batch_size=4, size=32, warmup=2, dream_every=50, dream_pool=8)
    image = torch.cat([random_image(48, 48, seed=seed) for seed in range(2)])
    targets = {f"conv{name[4:]}": f for name, f in teacher(image, [f"relu{n}_1" for n in range(1, 6)]).items()}
    targets |= {f"conv{name[4:]}": f for name, f in teacher(image, ["relu3_2", "relu4_2", "relu5_2"]).items()}
    scales = variances(targets)
    torch.manual_seed(0)
    untrained = Student(NARROW, teacher.architecture)
    trained, shown = train(teacher, folder, schedule=longer)
    with torch.no_grad():
        before, after = (sum(s.unexplained(image, targets, scales).values()) for s in (untrained, trained.student))
    assert [step.number for step in shown] == list(range(1, 201))
    assert after < 0.8 * before


def test_errors_and_their_scales_are_what_they_say(random_image):
    """A student whose read-outs are those of the teacher, but for a constant."""
    architecture = Architecture("vgg11", (2, 3, 3, 4, 4))
    torch.manual_seed(0)
    student = Student(architecture, architecture).eval()
    for name, readout in [*student.readouts.items(), *student.gram_readouts.items()]:
        torch.nn.init.dirac_(readout.weight)
        torch.nn.init.zeros_(readout.bias)
        assert name in architecture.convolutions
    image = torch.cat([random_image(40, 48, seed=seed) for seed in range(3)])
    with torch.no_grad():
        own = dict(student(image))
        targets = {name: 2 * features for name, features in own.items()}
        scales = variances(targets)
        errors = student.unexplained(image, targets, scales)
    for name, features in own.items():
        rows = 2 * features.permute(1, 0, 2, 3).flatten(1)
        expected = (rows / 2).square().sum(0).mean() / rows.var(1).sum()
        assert errors[name] == pytest.approx(expected.item(), rel=1e-4)
    assert errors.keys() - own.keys() == {f"gram{block}_1" for block in range(1, 6)}
    for block in range(1, 6):
        grams = torch.stack([4 * f @ f.T / f.shape[1] for f in own[f"conv{block}_1"].flatten(2)])
        expected = (0.75 * grams).square().sum((1, 2)).mean() / grams.var(0).sum()
        assert errors[f"gram{block}_1"] == pytest.approx(expected.item(), rel=1e-4)


def test_training_goes_on_from_its_checkpoint(teacher, folder, tmp_path):
    checkpoint = tmp_path / "c.checkpoint"
    left, _ = train(teacher, folder, 5, checkpoint=checkpoint)
    again, shown = train(teacher, folder, checkpoint=checkpoint)
    assert shown[0].number == 6 and shown[-1].number == 12
    assert again.number == 12 and left.number == 5


def test_a_finished_training_goes_on_when_it_is_given_more_steps(teacher, folder, tmp_path):
    checkpoint = tmp_path / "c.checkpoint"
    train(teacher, folder, checkpoint=checkpoint)
    _, shown = train(teacher, folder, schedule=replace(SCHEDULE, steps=15), checkpoint=checkpoint)
    assert [step.number for step in shown] == [13, 14, 15]


def test_a_file_of_another_kind_is_no_checkpoint(teacher, folder, tmp_path):
    for content in ({"weights": torch.ones(2)}, {"student": 1}, torch.ones(2), None):
        torch.save(content, tmp_path / "other.pth")
        with pytest.raises(ToolkitError, match="can't be read as a checkpoint: remove it, or name another"):
            train(teacher, folder, checkpoint=tmp_path / "other.pth")


def test_another_schedules_or_teachers_checkpoint_is_refused(teacher, folder, tmp_path):
    checkpoint = tmp_path / "c.checkpoint"
    train(teacher, folder, 3, checkpoint=checkpoint)
    other = copy.deepcopy(teacher)
    other.convolution("conv1_1").bias.data += 1
    for wishes in ({"teacher": teacher, "schedule": Schedule(steps=9)}, {"teacher": other}):
        with pytest.raises(ToolkitError, match="another schedule, architecture or teacher: remove it, or name another"):
            train(folder=folder, checkpoint=checkpoint, **wishes)
    checkpoint.write_text("no checkpoint")
    with pytest.raises(ToolkitError, match="can't be read as a checkpoint"):
        train(teacher, folder, checkpoint=checkpoint)


def test_the_command_trains_and_writes_a_network(teacher, folder, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_network(teacher, tmp_path / "teacher.safetensors")
    command = [
        "distill",
        "teacher.safetensors",
        "images",
        "-o",
        "s.safetensors",
        "--widths",
        "2,2,2,2,2",
        "--steps",
        "2",
    ]
    assert main(command) == 0
    text = capsys.readouterr()
    assert text.out == "written to s.safetensors; normalise it next\n"
    assert "unexplained: conv1_1" in text.err
    assert load_network("s.safetensors").architecture == Architecture("vgg11", (2,) * 5)
    assert main(["distill", "teacher.safetensors", "images", "-o", "e.txt"]) == 2
    assert capsys.readouterr().err == "error: e.txt must end in .safetensors.\n"
    assert main(["distill", "s.safetensors", "images", "-o", "t.safetensors"]) == 2
    assert (
        "error: s.safetensors can't be the teacher: normalise it with average pooling first." in capsys.readouterr().err
    )
