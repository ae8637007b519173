import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from polyvec.encoders.small_encoder import word_pieces
from polyvec.errors import BadInput
from polyvec.objectives.word_masking import IGNORED, WordMasker

SPECIAL = {"unk_token": "[UNK]", "pad_token": "[PAD]", "mask_token": "[MASK]"}


@pytest.fixture(scope="module")
def masker():
    return WordMasker(word_pieces(["embedding embedded bed", "beds and models"] * 9, 60))


def wrapped(model, vocabulary, **options):
    tokenizer = Tokenizer(model(vocabulary, **options))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **SPECIAL)


def test_pieces_of_a_word_have_its_number_and_special_tokens_none():
    vocabulary = {"[PAD]": 0, "[UNK]": 1, "[MASK]": 2, "em": 3, "##bed": 4, "##s": 5, "and": 6}
    tokenizer = wrapped(models.WordPiece, vocabulary, unk_token="[UNK]")
    ids = torch.tensor([[3, 4, 5, 6, 3], [4, 5, 6, 0, 0]])
    assert WordMasker(tokenizer).words(ids).tolist() == [[0, 0, 0, 1, 2], [0, 0, 1, -1, -1]]


def test_byte_level_words_begin_with_a_space():
    vocabulary = {"[PAD]": 0, "[UNK]": 1, "[MASK]": 2, "em": 3, "bed": 4, "Ġand": 5, "Ġs": 6}
    tokenizer = wrapped(models.BPE, vocabulary, merges=[])
    ids = torch.tensor([[3, 4, 5, 6, 4, 0]])
    assert WordMasker(tokenizer).words(ids).tolist() == [[0, 0, 1, 2, 2, -1]]


def chosen_one_by_one(sizes, order, budget):
    """BERT's rule: words in random order, one with which it would be too many is passed over."""
    taken, used = [], 0
    for word in order:
        if used + sizes[word] <= budget:
            taken.append(word)
            used += sizes[word]
    return sorted(taken)


def test_words_are_chosen_by_the_rule_of_the_loop(masker):
    words = torch.tensor([[-1, 0, 0, 0, 1, 2, 2, 3, -1, -1], [-1, 0, 1, 1, 2, 3, 4, 5, 6, -1]])
    found = masker.choose(words, 0.5, 50, torch.Generator().manual_seed(3))
    keys = torch.rand(2, 50, 7, generator=torch.Generator().manual_seed(3))
    for row, (sizes, budget) in enumerate([([3, 1, 2, 1], 4), ([1, 2, 1, 1, 1, 1, 1], 4)]):
        for draw in range(50):
            order = keys[row, draw, : len(sizes)].argsort().tolist()
            wanted = chosen_one_by_one(sizes, order, budget)
            places = [int(w) in wanted for w in words[row]]
            assert found[row, draw].tolist() == places


def test_a_share_of_the_tokens_is_reached_and_no_special_one_chosen(masker):
    words = torch.tensor([[-1, *range(40), -1]])
    found = masker.choose(words, 0.3, 20, torch.Generator().manual_seed(0))
    assert found.sum(dim=2).tolist() == [[12] * 20]
    assert not found[:, :, 0].any()
    assert not found[:, :, -1].any()


def test_a_smaller_share_is_chosen_among_the_words_of_a_larger_one(masker):
    # Words of 1 to 4 tokens, in ten rows alike; 20 tokens, of which 8 and 4 may be chosen.
    sizes = [1, 2, 3, 4, 1, 2, 3, 4]
    row = [number for number, size in enumerate(sizes) for _ in range(size)]
    words = torch.tensor([[-1, *row, -1]]).repeat(50, 1)
    outer, inner = masker.choose_nested(words, (0.4, 0.2), torch.Generator().manual_seed(0))
    assert (outer | ~inner).all()
    for chosen, budget in ((outer, 8), (inner, 4)):
        assert chosen.sum(dim=1).max() <= budget
        for number in range(len(sizes)):
            of_word = chosen[:, 1:-1][:, [word == number for word in row]]
            assert torch.equal(of_word.any(dim=1), of_word.all(dim=1))
    # The larger share leaves out only words that do not fit any more.
    left = [
        [size for n, size in enumerate(sizes) if not outer[r, 1 + row.index(n)]] for r in range(50)
    ]
    assert all(8 - int(outer[r].sum()) < min(left[r]) for r in range(50))
    alone = masker.choose(words, 0.4, 1, torch.Generator().manual_seed(0))[:, 0]
    assert torch.equal(outer, alone)


def test_nested_shares_by_hand(masker):
    """Five tokens: two may be chosen and one of them; the word of three never fits, so both others are."""
    words = torch.tensor([[-1, 0, 0, 0, 1, 2, -1]])
    for seed in range(5):
        outer, inner = masker.choose_nested(words, (0.4, 0.2), torch.Generator().manual_seed(seed))
        assert outer[0].nonzero()[:, 0].tolist() == [4, 5]
        assert inner[0].sum() == 1
    nothing = masker.choose_nested(torch.full((2, 3), -1), (0.4, 0.2), torch.Generator())
    assert [found.any() for found in nothing] == [False, False]


def test_a_text_of_special_tokens_has_nothing_to_choose(masker):
    found = masker.choose(torch.full((2, 3), -1), 0.5, 4, torch.Generator())
    assert found.shape == (2, 4, 3)
    assert not found.any()


def test_of_the_chosen_most_are_hidden_some_are_others_some_stay(masker):
    ids = torch.full((200, 50), 20)
    chosen = torch.zeros(200, 50, dtype=torch.bool)
    chosen[:, ::2] = True
    hidden, labels = masker.hide(ids, chosen, torch.Generator().manual_seed(0))
    assert (hidden[~chosen] == 20).all()
    assert set(labels[chosen].tolist()) == {20}
    assert set(labels[~chosen].tolist()) == {IGNORED}
    masked = (hidden[chosen] == masker.mask_id).float().mean().item()
    same = (hidden[chosen] == 20).float().mean().item()
    assert masked == pytest.approx(0.8, abs=0.02)
    assert same == pytest.approx(0.1, abs=0.02)
    assert not set(hidden[chosen].tolist()) & {0, 1, 2, 3}


def test_the_same_seed_hides_the_same(masker):
    words = torch.tensor([[-1, *range(9), -1]])
    first, again = (
        masker.choose(words, 0.4, 3, torch.Generator().manual_seed(5)) for _ in range(2)
    )
    assert torch.equal(first, again)


def test_a_tokenizer_without_a_mask_or_words_is_refused():
    plain = Tokenizer(models.WordPiece({"[UNK]": 0}, unk_token="[UNK]"))
    with pytest.raises(BadInput, match="no mask token"):
        WordMasker(PreTrainedTokenizerFast(tokenizer_object=plain, unk_token="[UNK]"))
    level = Tokenizer(models.WordLevel({"[UNK]": 0, "[PAD]": 1, "[MASK]": 2}, unk_token="[UNK]"))
    with pytest.raises(BadInput, match="WordLevel tokenizer"):
        WordMasker(PreTrainedTokenizerFast(tokenizer_object=level, **SPECIAL))
