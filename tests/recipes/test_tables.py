from rich.console import Console

from polyvec.recipes.tables import evidence_tables


def printed(arms: dict[str, dict[str, list[float]]]) -> list[str]:
    evidence = {
        "name": "a-paper",
        "seeds": [0, 1],
        "minutes": 2.0,
        "metric": "nDCG@10",
        "baseline": "plain",
        "arms": arms,
    }
    console = Console(width=80)
    found = []
    for table in evidence_tables(evidence):
        with console.capture() as said:
            console.print(table)
        found.append(said.get())
    return found


def test_an_arm_a_column_with_its_difference_to_the_baseline() -> None:
    [table] = printed({"plain": {"nDCG@10": [0.4, 0.6]}, "new": {"nDCG@10": [0.5, 0.7]}})
    assert "a-paper: 2 seed(s), 2.0 minutes" in table
    assert "0.500" in table
    assert "+0.100 (p" in table


def test_many_arms_go_on_in_tables_below_without_metrics_they_do_not_have() -> None:
    arms = {f"arm {n}": {"nDCG@10": [n / 10, n / 10]} for n in range(5)}
    arms["arm 4"]["seconds"] = [1.0, 1.0]
    first, second = printed({"plain": {"nDCG@10": [0.1, 0.1]}, **arms})
    assert "arm 2" in first
    assert "arm 3" not in first
    assert "seconds" not in first
    assert "arm 4" in second
    assert "seconds" in second
    assert all(len(line) <= 80 for line in (first + second).splitlines())
