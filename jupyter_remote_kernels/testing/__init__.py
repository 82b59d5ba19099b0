"""For authors and tests of providers: shipped, and imported by nothing of the product.

What lives here: the contract that every provider passes on its real engine, and providers
that misbehave at a named point.
What never does: anything that works only in our own checkout.
"""
