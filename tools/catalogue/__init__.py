"""The pages of `docs/catalogue`: one a domain, made of the cards and of what was seen when they were last run.

python -m tools.catalogue            runs every algorithm, draws its example, measures its cost, writes facts and pages
python -m tools.catalogue --pages    writes the pages anew from the facts that there are
python -m tools.catalogue --check    fails when a page, a picture or a fact is not that of the cards
"""
