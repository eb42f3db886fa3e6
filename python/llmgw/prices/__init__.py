"""What an answer costs. Money is an integer of 10⁻⁹ of the currency's unit, never a float."""
