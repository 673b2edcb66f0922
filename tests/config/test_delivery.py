"""Filters and outputs in the configuration: named tables, checked with all the rest."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from broker_plugin.config import Config, load_config, render_toml
from broker_plugin.errors import ConfigurationError

GOOD = """
[filters.rr]
classes = ["RRAB", "RRCD"]
probability = { min = 0.8 }
cones = [{ ra = 10, dec = 10, radius_arcsec = 30 }]

[filters.odd]
novel = true

[outputs.lasair_rr]
format = "lasair"
annotator = "rr"
filters = ["rr"]
url = "https://example.org/{object_id}"
rest.endpoint = "https://api.lasair.lsst.ac.uk/api"

[outputs.desc]
format = "elasticc"
broker_name = "variables"
filters = ["rr", "odd"]
topic_per_filter = true

[outputs.scimma]
format = "hop"
source = "novelties"
target.bootstrap = "kafka.scimma.org:9092"
target.topic = "user.novelties"
target.options = { "security.protocol" = "SASL_SSL", "sasl.mechanism" = "PLAIN", "sasl.username" = "me" }
"""
SECRETS = {
    "BROKER_PLUGIN_OUTPUTS__LASAIR_RR__REST__TOKEN": "0123456789",
    "BROKER_PLUGIN_OUTPUTS__SCIMMA__TARGET__OPTIONS__SASL_PASSWORD": "secret",
}


def load(tmp_path: Path, text: str, environment: dict[str, str] | None = None) -> Config:
    path = tmp_path / "c.toml"
    path.write_text(text)
    return load_config(path, environment or {})


def test_outputs_with_secrets_from_the_environment(tmp_path) -> None:
    """Names of the user's in variables; topics that follow from names."""
    config = load(tmp_path, GOOD, SECRETS)
    lasair, desc, scimma = (config.outputs[name] for name in ("lasair_rr", "desc", "scimma"))
    assert lasair.rest.token == "0123456789"
    assert scimma.target.options["sasl.password"] == "secret"
    assert lasair.topics("variables", "lasair_rr") == {"anno_rr": ("rr",)}
    assert desc.topics("variables", "desc") == {
        "variables.output.desc.rr": ("rr",),
        "variables.output.desc.odd": ("odd",),
    }
    assert [output.leaves for output in (lasair, desc, scimma)] == [True, False, True]


def test_what_is_printed_can_be_loaded_again(tmp_path) -> None:
    """Secrets masked, clauses that are none left out."""
    config = load(tmp_path, GOOD, SECRETS)
    text = render_toml(config)
    assert "0123456789" not in text
    assert "secret" not in text.replace("secrets", "")
    assert "surveys" not in text
    tree = tomllib.loads(text)
    del (
        tree["outputs"]["lasair_rr"]["rest"]["token"],
        tree["outputs"]["scimma"]["target"]["options"]["sasl.password"],
    )
    assert tree["filters"]["rr"]["cones"] == [{"ra": 10.0, "dec": 10.0, "radius_arcsec": 30.0}]
    lines = [line for line in text.splitlines() if "********" not in line or "options" in line]
    again = "\n".join(lines).replace(', "sasl.password" = "********"', "")
    assert load(tmp_path, again, SECRETS) == config


def test_everything_that_is_wrong_is_told_at_once(tmp_path) -> None:
    """Unknown keys, ranges, names, what does not belong together, what the model does not have."""
    text = """
prefx = "x"
[filters.Bad]
novel = true
[filters.a]
[filters.b]
clases = ["RRAB"]
classes = ["RRABB"]
mag = { min = 18, max = 15 }
probability = { min = 80 }
cones = [{ ra = 10, dec = 100 }]
watchlist = { file = "nowhere.csv" }
without_flags = ["blurry"]
bands = []
[outputs.one]
filters = ["b"]
[outputs.two]
format = "lasair"
source = "novelties"
sender = "me"
[outputs.three]
format = "json"
filters = ["nobody"]
topic = "variables.novelties"
[outputs.four]
format = "json"
topic = "shared"
[outputs.five]
format = "elasticc"
broker_name = "me"
topic = "shared"
[outputs.five.rest]
endpoint = "somewhere"
[outputs.six]
format = "avro"
framing = "confluent"
[outputs.seven]
format = "lasair"
annotator = "a"
url = "https://example.org/{oid}"
"""
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, text)
    message = str(caught.value)
    for part in (
        *("unknown key prefx", "filters.Bad: expected a name", "filters.a: a filter needs a clause"),
        *("did you mean filters.b.classes?", "no class RRABB", "nothing lies between min (18) and max (15)"),
        *("found 80, expected limits from 0 to 1", "filters.b.cones.0.dec", "radius_arcsec is missing"),
        *(
            "nowhere.csv cannot be read",
            "no quality flag is called blurry",
            "filters.b.bands: expected at least one",
        ),
        *(
            "outputs.one.format is missing",
            "needs annotator",
            "sender belongs to format = 'hop'",
            "light curves",
        ),
        *("names 'nobody'", "which the stages use", "would both write to topic shared"),
        *("is no address", "registry_url go together", "'oid' in braces"),
    ):
        assert part in message, part


def test_watchlist_lines_are_named(tmp_path) -> None:
    """Before the first alert, not when nothing comes."""
    path = tmp_path / "w.csv"
    path.write_text("ra,dec\n1,2\n1,99\nx,3\n")
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, f'[filters.a]\nwatchlist = {{ file = "{path}" }}\n')
    assert "line 3" in str(caught.value)
    assert "line 4" in str(caught.value)


def test_token_in_the_file_is_refused(tmp_path) -> None:
    """As any secret; the variable is named."""
    text = GOOD + '\n[outputs.lasair_rr.rest]\nendpoint = "https://x.org"\ntoken = "abc"\n'
    text = text.replace('rest.endpoint = "https://api.lasair.lsst.ac.uk/api"\n', "")
    with pytest.raises(ConfigurationError, match="BROKER_PLUGIN_OUTPUTS__LASAIR_RR__REST__TOKEN"):
        load(tmp_path, text)


def test_taxonomy_without_a_class_of_the_model(tmp_path) -> None:
    """A retrained model has a class that DESC was not told of."""
    path = tmp_path / "t.toml"
    path.write_text("[classes]\nRRAB = 2323\n[novelty]\nclass_id = 2100\nshare = 0.5\n")
    text = f'[outputs.d]\nformat = "elasticc"\nbroker_name = "x"\ntaxonomy = "{path}"\n'
    with pytest.raises(ConfigurationError, match="no classId for CEPH"):
        load(tmp_path, text)


def test_matches_only_needs_something_to_match(tmp_path) -> None:
    """By default readers learn what does not pass any more; whoever gets everything has no matches."""
    assert load(tmp_path, GOOD, SECRETS).outputs["lasair_rr"].follow_up
    only = GOOD.replace('filters = ["rr", "odd"]', 'filters = ["rr", "odd"]\nfollow_up = false')
    assert not load(tmp_path, only, SECRETS).outputs["desc"].follow_up
    with pytest.raises(ConfigurationError, match=r"outputs.a: .*follow_up = false needs filters"):
        load(tmp_path, '[outputs.a]\nformat = "json"\nfollow_up = false\n')


OBJECTS = """
[filters.bright]
mag = { max = 18 }
[filters.novel]
novel = true
[outputs.a]
format = "lasair"
annotator = "a"
source = "objects"
filters = ["FILTER"]
"""


def test_outputs_of_whole_objects(tmp_path) -> None:
    """Every format; but nothing that would never send anything."""
    assert load(tmp_path, OBJECTS.replace("FILTER", "novel")).outputs["a"].source == "objects"
    with pytest.raises(ConfigurationError, match=r"filters\.bright\.mag means a single band"):
        load(tmp_path, OBJECTS.replace("FILTER", "bright"))
    with pytest.raises(ConfigurationError, match=r"found combine\.enabled = false"):
        load(tmp_path, OBJECTS.replace("FILTER", "novel") + "[combine]\nenabled = false\n")
    reserved = '[outputs.b]\nformat = "json"\ntopic = "variables.deliver-objects-changelog"\n'
    with pytest.raises(ConfigurationError, match="which the stages use"):
        load(tmp_path, OBJECTS.replace("FILTER", "novel") + reserved)
