"""How good it is: draws that are kept, comparisons on them, calibrations on outside data.

``draw`` records solutions, and ``recorded_draws`` reads them and replays strategies on them without a model.
On such files ``seconds`` compares ``adaptive`` with votes by what a person waits for, with the step costs of
``curves.json``, ``frontier`` makes the report of ``bench.eval``,
``everyday`` makes one for questions as people type them, ``handing_on`` says what a threshold hands on,
``calibration_check`` measures the calibration, and ``verdicts`` judges the answers by today's comparison.

``likelihood`` reads what a calibration was fitted on. ``model_sizes`` draws a line through
``published_scores.tsv``, ``renumber`` makes questions that no model has seen, and ``latency`` measures live
how long a person waits. ``choices`` measures questions with options, ``facts`` those for a fact.
``tool_calls`` records calls of tools, ``calls_table`` compares rules on them, and ``json_fields`` judges
fields of JSON. ``given_tests`` shows more tests of code tasks.
"""
