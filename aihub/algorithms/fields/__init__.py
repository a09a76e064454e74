"""What stands in documents: numbers with check digits, dates, sums. Pure functions over text, one file a form.

Each form says whether its check holds (`holds`), makes the check digit (`check_digit`), and finds itself in running text
(`find...`). A number whose check fails is told as such, never hidden.
"""
